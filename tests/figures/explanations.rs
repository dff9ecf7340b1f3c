use std::path::Path;

#[derive(clap::Args)]
pub struct Arguments {}

pub fn run(_arguments: &Arguments, _data: &Path, _quick: bool) -> anyhow::Result<()> {
    anyhow::bail!("not written yet")
}
