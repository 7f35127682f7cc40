import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { ExtensionContext, Uri, commands, window, workspace } from "vscode";
import { LanguageClient, LanguageClientOptions, ServerOptions } from "vscode-languageclient/node";

let client: LanguageClient | undefined;

/** The command that starts archdsl, as the settings have it: `archdsl`, or the words of a longer command. */
function server(): [string, string[]] {
  const [command, ...words] = workspace.getConfiguration("archdsl").get<string[]>("command", ["archdsl"]);
  return [command ?? "archdsl", words];
}

async function start(): Promise<void> {
  const [command, words] = server();
  const options: ServerOptions = { command, args: [...words, "lsp"] };
  const selector: LanguageClientOptions = {
    documentSelector: [{ language: "arch" }],
    synchronize: { configurationSection: "archdsl", fileEvents: workspace.createFileSystemWatcher("**/*.arch") },
  };
  client = new LanguageClient("archdsl", "archdsl", options, selector);
  try {
    await client.start();
  } catch {
    client = undefined;
    const text = `archdsl: \`${[command, ...words].join(" ")} lsp\` does not start. Install it with \`pip install 'archdsl[lsp]'\`, or say where it is in the setting archdsl.command.`;
    await window.showErrorMessage(text);
  }
}

/** Show what `archdsl explain CODE` prints. */
async function explain(code: string): Promise<void> {
  const [command, words] = server();
  const { stdout } = await promisify(execFile)(command, [...words, "explain", code]);
  await window.showTextDocument(await workspace.openTextDocument({ content: stdout, language: "markdown" }), {
    preview: true,
  });
}

export async function activate(context: ExtensionContext): Promise<void> {
  context.subscriptions.push(
    commands.registerCommand("archdsl.restart", async () => {
      await client?.stop();
      await start();
    }),
    commands.registerCommand("archdsl.explain", async (code?: string) => {
      const wanted = code ?? (await window.showInputBox({ prompt: "A code, such as E301" }));
      if (wanted) await explain(wanted);
    }),
    window.registerUriHandler({ handleUri: (uri: Uri) => explain(uri.path.slice(1)) }),
  );
  await start();
}

export async function deactivate(): Promise<void> {
  await client?.stop();
}
