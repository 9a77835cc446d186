//! The `tidemark` command.

fn main() -> std::process::ExitCode {
    tidemark::cli::main()
}
