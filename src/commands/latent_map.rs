//! The codes of many rows as one picture, for `encode --map`.

use std::path::Path;

use anyhow::Context;

use crate::plot::{self, LatentMap, MapGroup, Role};

/// Codes to draw, with what was said of their rows. They are all held: the picture's axes are those
/// along which they differ most.
pub(super) struct Points {
    latent: usize,
    /// Rows x latent.
    codes: Vec<f32>,
    flagged: Vec<bool>,
}

impl Points {
    pub fn new(latent: usize) -> Points {
        Points {
            latent,
            codes: Vec::new(),
            flagged: Vec::new(),
        }
    }

    pub fn add(&mut self, code: &[f32], flagged: bool) {
        self.codes.extend_from_slice(code);
        self.flagged.push(flagged);
    }

    pub fn rows(&self) -> usize {
        self.flagged.len()
    }

    /// Writes the picture as SVG.
    pub fn draw(&self, title: &str, file: &Path) -> anyhow::Result<()> {
        let projection = plot::project(&self.codes, self.latent)?;
        let of = |wanted: bool| -> Vec<(f32, f32)> {
            let points = projection.points.iter().zip(&self.flagged);
            let chosen = points.filter(|(_, flagged)| **flagged == wanted);
            chosen.map(|(point, _)| *point).collect()
        };
        let (ordinary, flagged) = (of(false), of(true));
        let groups = [
            MapGroup {
                name: "not flagged",
                role: Role::Normal,
                points: &ordinary,
            },
            MapGroup {
                name: "flagged",
                role: Role::Flagged,
                points: &flagged,
            },
        ];
        let map = LatentMap {
            title,
            groups: &groups,
            shares: Some(projection.shares),
        };
        std::fs::write(file, plot::latent_map(&map)?)
            .with_context(|| format!("writing {}", file.display()))
    }
}
