autocmd BufNewFile,BufRead *.dspec setfiletype dspec
