pub(super) fn run(_: &crate::cli::Demo) -> anyhow::Result<()> { Ok(()) }
