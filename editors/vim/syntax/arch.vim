" archdsl specs of convolutional networks: .arch files.
if exists('b:current_syntax')
  finish
endif

syntax keyword archDefine model block inline let
syntax keyword archStatement import from train require for in if else when shortcut
syntax keyword archCombinator residual inception sum subtract dense scale split aux
syntax keyword archOperator and or not
syntax keyword archConstant true false none
syntax keyword archFigure channels features length depth height width shape
syntax keyword archTensor input output use reuse concat add mul

syntax match archName /\v(<(model|block)\s+)@<=\h\w*/
syntax match archTap /->\s*\h\w*\(\s*,\s*\h\w*\)*/
syntax match archLabel /\v(^|[;{])@<=\s*(\w|\{[^{}]*\})([0-9A-Za-z_-]|\{[^{}]*\})*\ze\s*:/
syntax match archArgument /\v<\h\w*\ze\s*\=([^=]|$)/
syntax match archSetting /\v(^|[;{])@<=\s*(init|defaults)\ze\s*\=([^=]|$)/
syntax match archNumber /\v<\d[0-9_]*(\.[0-9_]+)?([eE][+-]?\d+|[kKMGT]?i?B|[kKMGT])?>/
syntax match archNumber /\v<\d+(x\d+)+>/
syntax region archString start=/"/ skip=/\\["\\nt]/ end=/"\|$/ oneline
syntax match archComment /#.*$/ contains=@Spell

highlight default link archDefine Structure
highlight default link archStatement Statement
highlight default link archCombinator Keyword
highlight default link archOperator Operator
highlight default link archConstant Boolean
highlight default link archFigure Identifier
highlight default link archTensor Function
highlight default link archName Type
highlight default link archTap Special
highlight default link archLabel Label
highlight default link archArgument Identifier
highlight default link archSetting Keyword
highlight default link archNumber Number
highlight default link archString String
highlight default link archComment Comment

let b:current_syntax = 'arch'
