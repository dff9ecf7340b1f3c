//! Images in the idx format of MNIST.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail, ensure};

/// Unsigned bytes in three dimensions.
const MAGIC: u32 = 0x0803;

/// Grey images of one size.
pub struct Images {
    /// Pixels of an image.
    pub pixels: usize,
    /// Images x pixels: 0 is black, 1 white.
    pub values: Vec<f32>,
}

impl Images {
    pub fn read(path: &Path) -> anyhow::Result<Images> {
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(file)
            .read_to_end(&mut bytes)
            .with_context(|| format!("unpacking {}", path.display()))?;
        Images::parse(&bytes).with_context(|| format!("reading {}", path.display()))
    }

    fn parse(bytes: &[u8]) -> anyhow::Result<Images> {
        let (header, pixels) = bytes
            .split_at_checked(16)
            .context("it ends in its header")?;
        let numbers: Vec<u32> = header
            .chunks_exact(4)
            .map(|number| {
                number
                    .iter()
                    .fold(0, |sum, &byte| (sum << 8) | u32::from(byte))
            })
            .collect();
        let [MAGIC, count, rows, columns] = numbers[..] else {
            bail!("it is not an idx file of images");
        };
        let size = rows as usize * columns as usize;
        ensure!(
            size > 0 && count as usize * size == pixels.len(),
            "it says {count} images of {rows} x {columns}, and has {} pixels",
            pixels.len()
        );
        Ok(Images {
            pixels: size,
            values: pixels.iter().map(|&grey| f32::from(grey) / 255.0).collect(),
        })
    }

    pub fn count(&self) -> usize {
        self.values.len() / self.pixels
    }

    /// `count` of the images, evenly spaced: the first half of MNIST's test set is the easier one.
    pub fn spread(&self, count: usize) -> Vec<&[f32]> {
        let all = self.count();
        let count = count.min(all);
        let chosen = (0..count).map(|i| i * all / count);
        chosen
            .map(|image| &self.values[image * self.pixels..][..self.pixels])
            .collect()
    }
}
