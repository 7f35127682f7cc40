if exists('b:did_ftplugin')
  finish
endif
let b:did_ftplugin = 1

setlocal commentstring=#\ %s comments=:#
setlocal expandtab shiftwidth=2 softtabstop=2 textwidth=110 formatoptions-=t
setlocal smartindent cinwords=
setlocal makeprg=archdsl\ check\ %:S\ --format\ concise errorformat=%f:%l:%c:\ %m

let b:undo_ftplugin = 'setlocal commentstring< comments< expandtab< shiftwidth< softtabstop< textwidth<'
      \ . ' formatoptions< smartindent< cinwords< makeprg< errorformat<'
