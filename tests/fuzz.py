"""Mutated specs: whatever the text, a run ends soon, in little memory, with a result or a SpecError.

    python -m tests.fuzz --cases 1000000 --seed 1 --workers 2

The specs of the zoo, the tests and the docs are cut into tokens, which are left out, doubled, swapped, replaced by
others or by odd values, and put into loops. Each mutant is parsed, formatted, checked with all its models, and summed
up. Mutant NUMBER of a seed is the same each time in a checkout: `--show NUMBER` prints it, `--only NUMBER` runs it.
"""

from __future__ import annotations

import argparse
import ast
import multiprocessing
import random
import re
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType

from archdsl import combinators
from archdsl.diagnostics import SpecError
from archdsl.diagnostics.render import render_text
from archdsl.elaborate import check_source, elaborate, load_module
from archdsl.syntax import format_text, parse
from archdsl.text.source import Source
from archdsl.view.summary import to_json
from archdsl.zoo import specs_folder

HERE = Path(__file__).parent
#: What a mutant may take: seconds of processor time and bytes of memory.
SECONDS = 2.0
MEMORY = 2**30
#: Models of a mutant that are summed up, beyond the check of all.
SUMMED_UP = 2
#: Longer specs are rarely chosen: a mutant is to take a few milliseconds.
LONG = 1_500

#: Loops and lists that reach a bound take a hundred times longer: few mutants have them.
MANY = re.compile(r"200\b|\d{4}")
SELDOM = 0.9

TOKEN = re.compile(
    r'#[^\n]*|"(?:[^"\\\n]|\\.)*"|[A-Za-z_]\w*|\d+(?:x\d+)+|\d+\.\d+(?:e-?\d+)?|\d+|->|\.\.|\*\*|//|[=!<>]=|\s+|.'
)
#: Values as expressions without blanks, to take the place of others.
VALUES = """
0 1 -1 2 3 7 8 64 100 101 1000 9999 10000 10001 65536 2147483648 9223372036854775807 9223372036854775808
99999999999999999999999999 0.0 0.5 1.5 1e-9 1e9 1e308 1e309 -0.0 3x3 0x0 1x1 3x0 3x224x224 1x2x3x4x5 9999999999x1
none true false [] () {} [[]] [1] [1,2] (1,) (1,2,3) {a:1} {"a":[1]} "" "a" "relu" "\\n" "same" same relu conv x i n
channels height width shape length depth 1..3 0..-1 1..10000 1..1000000 range(0) [0]*100 [[0]*100]*100 [1]*10000
"0123456789"*9 1/0 2**63 2**-1 9**9**9 1//0 5%0 -5//2 1==1.0 true==1 [1]==[1] (1)in[1] "a"in{a:1} [1]in{a:1} -true
sum([]) max([]) min(1) sqrt(-1) divisible(7) round(1.5) len("a") zip([1],[2,3]) enumerate(3) abs(-3) floor(1e300)
relu(1) conv(8) kaiming_normal uniform(3,1) sgd(lr=0) cosine int(3) a[0] a[[1]] a[1:] a[::0] "a"[5] shape[9] t[1]
{conv:{bias:false}} {weight:zeros} 1_000 0x10 1e5 ceil(0.5) "\\"" "{" "é"
""".split()  # noqa: SIM905
#: Statements, to stand between others.
STATEMENTS = """
relu -> t[[1]] | relu -> t | use(t) | add(t) | output(t) | reuse(x) | reuse(0) | input(3x8x8) | input(3) | init = zeros
init = {conv: zeros} | defaults = {conv: {bias: false}} | defaults = 1 | let a = 1 | let a = a + 1 | let a, b = [1, 2]
let (a, (b, c)) = (1, (2, 3)) | if true { relu } else { nosuch } | if channels > 3 { } | { } | x: { relu } | x{i}: relu
for i in 1..3 { x{i}: conv(8, 3, padding=1) } | for i in 1..10000 { relu } | residual { conv(channels, 1) } | nosuch
residual when false { } shortcut { } | inception { relu; relu } | sum { relu } | dense { conv(4, 1) } | scale { relu }
split(2) { relu; { } } | aux { flatten; linear(3) } | flatten | linear(10) | conv(8, 3) | batchnorm | maxpool(2) | ;
conv(8, 3x3, stride=2, padding="same") | adaptive_avgpool(1) | dropout(0.5) | softmax | pad_channels(16) | crop(1)
permute(1, 0) | concat(t) | attention(2) | label{i]}: relu | label{}: relu | label{a b}: relu | {1}: relu
conv: conv(8, 1) | parameter(3) | train { } | let a = [b for b in 1..3 if b > 1] | for (i, j) in [[1, 2]] { relu }
""".replace("\n", "|").split("|")
#: Signs, words and characters, to stand anywhere.
SIGNS = r"""
-> { } ( ) [ ] , ; : = == + - * ** / // % .. in not and or if for let else train model block inline import from residual
shortcut when ⅷ é \ ' ` " $ ~ ? ! @ & | ^ 1x1x 1. .5 1e # #{ "a
""".split()  # noqa: SIM905
SIGNS += [*combinators.KEYWORDS, "\t", "\r", "\0", "\ufeff", "\u2028", "\n", "\\\n", "\f"]


# The specs that are mutated


def texts() -> Iterator[tuple[str, str]]:
    """Every spec there is, with the path that its imports are relative to."""
    for path in [*sorted(specs_folder().rglob("*.arch")), *sorted(HERE.rglob("*.arch"))]:
        if not path.is_file():
            continue
        yield str(path), path.read_text("utf-8", "replace")
    for path in sorted(HERE.parent.glob("docs/*.md")):
        for match in re.finditer(r"^```arch\n(.*?)^```", path.read_text("utf-8"), re.MULTILINE | re.DOTALL):
            yield "docs.arch", match[1]
    for path in sorted(HERE.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.search(r"\bmodel \w", node.value):
                yield "tests.arch", node.value


@dataclass(frozen=True)
class Corpus:
    """Specs as tokens with how often each is chosen, and all their tokens."""

    specs: tuple[tuple[str, tuple[str, ...]], ...]
    weights: tuple[float, ...]
    words: tuple[str, ...]


def _share(tokens: Sequence[str]) -> float:
    """Specs that cannot be parsed as they are teach less; those that are about bounds take long."""
    text = "".join(tokens)
    share = 0.05 if re.search(r"\bfor\b", text) and MANY.search(text) else 1.0
    try:
        parse(Source("", text))
    except SpecError:
        return 0.1 * share
    return share


@cache
def corpus() -> Corpus:
    """The specs and their tokens."""
    specs = tuple(dict.fromkeys((path, tuple(TOKEN.findall(text))) for path, text in texts() if len(text) < 40 * LONG))
    words = tuple(dict.fromkeys(token for _, tokens in specs for token in tokens if not token.isspace()))
    weights = tuple(min(1.0, (LONG / (1 + sum(map(len, tokens)))) ** 2) * _share(tokens) for _, tokens in specs)
    return Corpus(specs, weights, words)


# Mutations: each changes the tokens at one place, `at`


def _one_of(options: Sequence[str], choose: random.Random) -> str:
    """One of the options, seldom one of MANY."""
    option = choose.choice(options)
    while MANY.search(option) and choose.random() < SELDOM:
        option = choose.choice(options)
    return option


def _other(tokens: list[str], at: int, choose: random.Random) -> None:
    tokens[at] = choose.choice(corpus().words)


def _sign(tokens: list[str], at: int, choose: random.Random) -> None:
    tokens[at] = choose.choice(SIGNS)


def _places(tokens: list[str], pattern: str) -> list[int]:
    return [i for i, token in enumerate(tokens) if re.match(pattern, token)]


def _value(tokens: list[str], at: int, choose: random.Random) -> None:
    """An odd value in the place of a number, string or word in a call or after a `=`."""
    after = [i for i in _places(tokens, r"[(,=\[ ]") if i + 1 < len(tokens)]
    values = [i + 1 for i in after if re.match(r'[\d"]', tokens[i + 1]) or tokens[i] == "="]
    tokens[choose.choice(values or [at])] = _one_of(VALUES, choose)


def _statement(tokens: list[str], at: int, choose: random.Random) -> None:
    """A statement at the beginning of a line, or after another."""
    tokens.insert(choose.choice(_places(tokens, r"\s*\n  |;") or [at]) + 1, f" {_one_of(STATEMENTS, choose)}; ")


def _line(tokens: list[str], at: int, choose: random.Random) -> None:
    """A line left out, doubled, or moved to another place."""
    breaks = _places(tokens, r"\s*\n")
    if len(breaks) > 2:
        first = choose.randrange(len(breaks) - 1)
        line = tokens[breaks[first] : breaks[first + 1]]
        if choose.random() < 0.6:
            del tokens[breaks[first] : breaks[first + 1]]
        if choose.random() < 0.6:
            place = choose.choice(_places(tokens, r"\s*\n") or [0])
            tokens[place:place] = line


def _own(tokens: list[str], at: int, choose: random.Random) -> None:
    tokens[at] = choose.choice(tokens)


def _alike(tokens: list[str], at: int, choose: random.Random) -> None:
    """A number for a number, a word for a word."""
    at = choose.choice(_places(tokens, r"\w") or [at])
    kind = tokens[at][:1].isdigit()
    among = tokens if choose.random() < 0.5 else corpus().words
    alike = [one for one in among if one[:1].isdigit() == kind and re.match(r"\w", one)]
    tokens[at] = choose.choice(alike or ["x"])


def _left_out(tokens: list[str], at: int, choose: random.Random) -> None:
    del tokens[at : at + choose.choice([1, 1, 1, 2, 5, 20])]


def _doubled(tokens: list[str], at: int, choose: random.Random) -> None:
    part = tokens[at : at + choose.choice([1, 1, 3, 10, 40])]
    tokens[at:at] = part * choose.choice([1, 1, 1, 2, 30])


def _swapped(tokens: list[str], at: int, choose: random.Random) -> None:
    other = choose.randrange(len(tokens))
    tokens[at], tokens[other] = tokens[other], tokens[at]


def _inserted(tokens: list[str], at: int, choose: random.Random) -> None:
    tokens.insert(at, choose.choice(SIGNS) if choose.random() < 0.5 else choose.choice(corpus().words))


def _letters(tokens: list[str], at: int, choose: random.Random) -> None:
    """A letter less, more or doubled; now and then very many."""
    token = tokens[at] or "a"
    cut = choose.randrange(len(token))
    tokens[at] = choose.choice([token[:cut] + token[cut + 1 :], token[: cut + 1] + token[cut:], token * 2, token * 300])


def _spliced(tokens: list[str], at: int, choose: random.Random) -> None:
    """Some tokens of another spec."""
    _, other = choose.choices(corpus().specs, corpus().weights)[0]
    start = choose.randrange(len(other)) if other else 0
    tokens[at:at] = other[start : start + choose.choice([3, 10, 40])]


def _nested(tokens: list[str], at: int, choose: random.Random) -> None:
    """Brackets around some tokens, many times."""
    before, after = choose.choice(["()", "[]", "{}", ("-", ""), ("{", ";}"), ("x: {", "}"), ("[", "for j in 1..3]")])
    times, length = choose.choice([1, 1, 2, 50, 99, 150]), choose.choice([1, 1, 3, 10])
    tokens[at : at + length] = [*[before] * times, *tokens[at : at + length], *[after] * times]


def _looped(tokens: list[str], at: int, choose: random.Random) -> None:
    """A loop around some lines of a body."""
    breaks = _places(tokens, r"\s*\n  |;")
    if len(breaks) > 1:
        first = choose.randrange(len(breaks) - 1)
        last = min(first + choose.choice([1, 1, 2, 5]), len(breaks) - 1)
        tokens.insert(breaks[last], "\n}" * (times := choose.choice([1, 1, 2, 3])))
        ranges = ["0..2", "1..200", "1..10000", "[]", "[1, none]", "channels", "[[1, 2], [3, 4]]"]
        values = _one_of(ranges, choose)
        tokens.insert(breaks[first] + 1, f"for i in {values} {{\n" * times)


#: Most of them leave a spec that can be parsed.
MUTATIONS: Sequence[Callable[[list[str], int, random.Random], None]] = (
    *[_value] * 8, *[_alike] * 5, *[_statement] * 5, *[_line] * 4, *[_looped] * 3, _other, _sign, _own, _left_out,
    _doubled, _swapped, _inserted, _letters, _spliced, _nested, _nested,
)  # fmt: skip


def mutant(seed: int, number: int) -> tuple[str, str]:
    """The path and the text of a mutant."""
    choose = random.Random(f"{seed} {number}")
    path, base = choose.choices(corpus().specs, corpus().weights)[0]
    tokens = list(base)
    for _ in range(choose.choice([1, 1, 1, 1, 1, 1, 2, 3])):
        if tokens:
            choose.choice(MUTATIONS)(tokens, choose.randrange(len(tokens)), choose)
    return path, "".join(tokens)


# One mutant


def _rejected(error: SpecError) -> str:
    assert str(error)
    return error.diagnostics[0].code


def outcome(path: str, text: str) -> str:
    """Do with a spec what the commands do; returns the code of its first error, or what it is."""
    source = Source(path, text.replace("\r\n", "\n"))
    try:
        formatted = format_text(text)
    except SpecError as error:
        return _rejected(error)
    assert format_text(formatted) == formatted, "formatted again, it is another text"
    found = check_source(source, Path(path))[0]
    if found:
        assert render_text(found)
        return found[0].code
    module = load_module(source, Path(path))
    for name in list(module.models)[:SUMMED_UP]:
        try:
            assert to_json(elaborate(module, name))
        except SpecError as error:
            return f"{_rejected(error)} without settings"
    return "accepted" if module.models else "no model"


class TooSlow(BaseException):
    """A mutant takes too much processor time. No `except Exception` catches it."""


@dataclass
class Fault:
    """A mutant that did not end as it should."""

    number: int
    what: str
    details: str


@dataclass
class Counts:
    """What became of some mutants."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, 0)
    seconds: float = 0.0
    memory: int = 0

    def add(self, other: Counts) -> None:
        self.outcomes += other.outcomes
        self.faults += other.faults
        self.slowest = max(self.slowest, other.slowest)
        self.seconds += other.seconds
        self.memory = max(self.memory, other.memory)


def run_one(seed: int, number: int, counts: Counts) -> None:
    """Run a mutant within its limits and count what became of it."""
    path, text = mutant(seed, number)
    suggestion_cache_clear()
    start = time.process_time()
    try:
        signal.setitimer(signal.ITIMER_PROF, 1.5 * SECONDS)
        try:
            result = outcome(path, text)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except (Exception, TooSlow) as error:
        result = "fault"
        place = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__} in {Path(place.filename).name}, {place.name}"
        counts.faults.append(Fault(number, what, traceback.format_exc(limit=-12)))
    seconds = time.process_time() - start
    if seconds > SECONDS and result != "fault":
        counts.faults.append(Fault(number, "TooSlow", f"{seconds:.1f} s"))
    counts.outcomes[result] += 1
    counts.slowest = max(counts.slowest, (seconds, number))
    counts.seconds += seconds


def suggestion_cache_clear() -> None:
    """Suggestions are kept from one spec to the next; what they cost is to be seen."""
    from archdsl.text import suggest

    suggest._suggestion.cache_clear()


# Many, in processes of their own

#: Mutants that a process reports together.
BATCH = 200


def _work(seed: int, numbers: range, connection: Connection) -> None:
    """What a process does: announce each mutant, so that the one that ends it is known, and report each batch."""

    def too_slow(_signal: int, _frame: FrameType | None) -> None:
        raise TooSlow

    signal.signal(signal.SIGPROF, too_slow)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    corpus()
    for first in range(0, len(numbers), BATCH):
        counts = Counts()
        for number in numbers[first : first + BATCH]:
            _limit(number, connection)
            run_one(seed, number, counts)
        counts.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        connection.send(counts)
    connection.send(None)


def _limit(number: int, connection: Connection) -> None:
    """Bound the memory of this process, and its time by a signal that no code can hold up."""
    connection.send(number)
    used = int(time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (used + 10, resource.RLIM_INFINITY))
    if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_AS, (_virtual() + MEMORY, resource.RLIM_INFINITY))


def _virtual() -> int:
    """The address space of this process in bytes, where the system tells."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return MEMORY


class Worker:
    """A process with the numbers it still has to run."""

    def __init__(self, seed: int, numbers: range) -> None:
        self.seed = seed
        self.numbers = numbers
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe(duplex=False)
        self.process = context.Process(target=_work, args=(seed, numbers, other), daemon=True)
        self.process.start()
        other.close()
        self.current: int | None = None

    def next(self) -> Counts | None:
        """What it reports; None at its end. Raises EOFError when it died."""
        while isinstance(received := self.connection.recv(), int):
            self.current = received
        result: Counts | None = received
        return result

    def after_death(self) -> tuple[Counts, Worker | None]:
        """What is to be said of a process that died, and one for the numbers after that which ended it."""
        self.process.join()
        counts = Counts()
        if self.current is None:
            raise RuntimeError("a process died before its first mutant")
        code = self.process.exitcode or 0
        what = f"the process died ({signal.Signals(-code).name if code < 0 else code})"
        counts.outcomes["fault"] += 1
        counts.faults.append(Fault(self.current, what, ""))
        rest = self.numbers[self.numbers.index(self.current) + 1 :]
        return counts, Worker(self.seed, rest) if rest else None


def fuzz(
    seed: int,
    numbers: range,
    workers: int,
    *,
    seconds: float = float("inf"),
    progress: Callable[[Counts], None] = lambda _: None,
) -> Counts:
    """Run the mutants `numbers` of a seed, or those of them there is time for."""
    total, end = Counts(), time.monotonic() + seconds
    running = {one.connection: one for one in (Worker(seed, numbers[i::workers]) for i in range(workers))}
    while running and time.monotonic() < end:
        for connection in wait(list(running), timeout=1):
            assert isinstance(connection, Connection)
            worker = running.pop(connection)
            try:
                counts = worker.next()
            except EOFError:
                counts, following = worker.after_death()
                if following is not None:
                    running[following.connection] = following
            else:
                if counts is None:
                    continue
                running[connection] = worker
            total.add(counts)
            progress(total)
    for worker in running.values():
        worker.process.terminate()
        worker.process.join()
    return total


# The command


def report(counts: Counts, seed: int) -> str:
    """The counts as text, with the first mutant of each kind of fault."""
    number = sum(counts.outcomes.values())
    lines = [
        f"{number:,} mutants of seed {seed}, {1e3 * counts.seconds / max(number, 1):.2f} ms of processor time each; "
        f"slowest {counts.slowest[0]:.2f} s (number {counts.slowest[1]}), memory {counts.memory / 2**20:.0f} MiB; "
        f"{len(counts.faults)} faults",
        ", ".join(f"{name} {count:,}" for name, count in counts.outcomes.most_common()),
    ]
    kinds = Counter(fault.what for fault in counts.faults)
    for fault in {fault.what: fault for fault in reversed(counts.faults)}.values():
        lines += [f"\n== {fault.what}: {kinds[fault.what]}, the first is number {fault.number}", fault.details.rstrip()]
        lines += ["--", mutant(seed, fault.number)[1][:2_000]]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="the number of the first mutant")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after that time")
    parser.add_argument("--show", type=int, metavar="NUMBER", help="print one mutant")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="run one mutant")
    given = parser.parse_args()
    if given.show is not None:
        print(mutant(given.seed, given.show)[1])
        return 0
    if given.only is not None:
        given.first, given.cases, given.workers = given.only, 1, 1
    latest = time.monotonic()

    def progress(counts: Counts) -> None:
        nonlocal latest
        if time.monotonic() - latest > 60:
            latest = time.monotonic()
            print(report(counts, given.seed), flush=True)

    numbers = range(given.first, given.first + given.cases)
    counts = fuzz(given.seed, numbers, given.workers, seconds=given.seconds, progress=progress)
    print(report(counts, given.seed))
    return 1 if counts.faults else 0


if __name__ == "__main__":
    sys.exit(main())
