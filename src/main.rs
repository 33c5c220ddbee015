//! The binary: arguments, telemetry, go.

fn main() -> std::process::ExitCode {
    truegate::cli::main()
}
