(type_alias "type" @context name: (identifier) @name) @item
(with_items keyword: (keyword) @context name: (identifier) @name) @item
(with_value keyword: (keyword) @context name: (identifier) @name) @item
