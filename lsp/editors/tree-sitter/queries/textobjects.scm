(declaration) @class.around
(block) @class.inside
(comment) @comment.inside
