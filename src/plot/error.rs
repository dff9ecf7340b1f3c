//! Why there is no picture.

use plotters::drawing::DrawingAreaErrorKind;

/// Why a picture could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    #[error(
        "{values} numbers are no rows of {latent} codes each: the number of values must be a \
         multiple of the width of a code, which is at least 1"
    )]
    Shape { values: usize, latent: usize },
    #[error("the principal components of the codes did not converge; please report it")]
    Components,
    #[error("the picture could not be drawn; this is a defect, please report it")]
    Drawing(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<DrawingAreaErrorKind<std::io::Error>> for PlotError {
    fn from(error: DrawingAreaErrorKind<std::io::Error>) -> PlotError {
        PlotError::Drawing(Box::new(error))
    }
}
