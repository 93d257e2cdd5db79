//! Where Zed finds `dspc`, and how it starts the language server.

use zed_extension_api::{self as zed, settings::LspSettings, Command, LanguageServerId, Result, Worktree};

struct Dspec;

impl zed::Extension for Dspec {
    fn new() -> Self {
        Self
    }

    fn language_server_command(&mut self, id: &LanguageServerId, worktree: &Worktree) -> Result<Command> {
        let set = LspSettings::for_worktree(id.as_ref(), worktree).ok().and_then(|settings| settings.binary);
        let command = set
            .and_then(|binary| binary.path)
            .or_else(|| worktree.which("dspc"))
            .ok_or("dspc is not on the PATH; `pip install dspc`, or set `lsp.dspc.binary.path`")?;
        Ok(Command { command, args: vec!["lsp".into()], env: worktree.shell_env() })
    }
}

zed::register_extension!(Dspec);
