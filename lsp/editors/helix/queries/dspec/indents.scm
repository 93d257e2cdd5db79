[(block) (parameters) (call) (list) (parenthesised) (inline_signature)] @indent
["}" ")" "]"] @outdent
