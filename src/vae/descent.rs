//! The optimiser: Adam (Kingma and Ba 2015) on gradients of bounded length.

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};

use super::parallel::side_by_side;

/// Moves variables down their gradients.
pub(super) struct Descent {
    variables: Vec<Var>,
    mover: Mover,
    clip: f64,
}

enum Mover {
    /// One for each thread, over variables of about the same number of weights.
    SideBySide(Vec<AdamW>),
    /// All weights as one vector, which goes back into the variables after a step: on a GPU every operation costs the
    /// start of its kernel, and variable by variable there would be hundreds.
    Together { weights: Var, adam: AdamW },
}

impl Descent {
    /// For `variables`, on `threads` threads. Gradients longer than `clip` are shortened to it.
    pub fn new(variables: Vec<Var>, clip: f64, threads: usize) -> Result<Self> {
        let settings = ParamsAdamW {
            weight_decay: 0.0,
            ..ParamsAdamW::default()
        };
        let on_cpu = variables.iter().all(|variable| variable.device().is_cpu());
        let mover = if on_cpu {
            let adams = even_groups(&variables, threads)
                .into_iter()
                .map(|group| AdamW::new(group, settings.clone()));
            Mover::SideBySide(adams.collect::<Result<_>>()?)
        } else {
            Mover::together(&variables, settings)?
        };
        Ok(Descent {
            mover,
            variables,
            clip,
        })
    }

    /// One step of size `rate` along the sum of `gradients`. Returns the Euclidean norm of the sum over
    /// all weights; where it is not finite, nothing was moved.
    pub fn step(&mut self, gradients: Vec<GradStore>, rate: f64) -> Result<f64> {
        let Some(mut gradients) = self.sum(gradients)? else {
            return Ok(0.0);
        };
        let joined = match &self.mover {
            Mover::SideBySide(_) => self.variables.clone(),
            Mover::Together { weights, .. } => {
                let whole = join(&self.variables, |variable| match gradients.get(variable) {
                    Some(gradient) => Ok(gradient.clone()),
                    None => variable.zeros_like(),
                })?;
                gradients.insert(weights, whole);
                vec![weights.clone()]
            }
        };
        let norm = norm(&gradients, &joined)?;
        if !norm.is_finite() {
            return Ok(norm);
        }
        if norm > self.clip {
            shorten(&mut gradients, &joined, self.clip / norm)?;
        }
        match &mut self.mover {
            Mover::SideBySide(adams) => {
                let moved = side_by_side(adams, |adam| {
                    adam.set_learning_rate(rate);
                    adam.step(&gradients)
                });
                moved.into_iter().collect::<Result<()>>()?;
            }
            Mover::Together { weights, adam } => {
                adam.set_learning_rate(rate);
                adam.step(&gradients)?;
                take_apart(weights, &self.variables)?;
            }
        }
        Ok(norm)
    }

    fn sum(&self, gradients: Vec<GradStore>) -> Result<Option<GradStore>> {
        let mut parts = gradients.into_iter();
        let Some(mut sum) = parts.next() else {
            return Ok(None);
        };
        for mut part in parts {
            for variable in &self.variables {
                let Some(more) = part.remove(variable) else {
                    continue;
                };
                let whole = match sum.get(variable) {
                    Some(gradient) => (gradient + more)?,
                    None => more,
                };
                sum.insert(variable, whole);
            }
        }
        Ok(Some(sum))
    }
}

impl Mover {
    fn together(variables: &[Var], settings: ParamsAdamW) -> Result<Mover> {
        let weights = Var::from_tensor(&join(variables, |it| Ok(it.as_detached_tensor()))?)?;
        Ok(Mover::Together {
            adam: AdamW::new(vec![weights.clone()], settings)?,
            weights,
        })
    }
}

/// What `of` says of each variable, as one vector.
fn join(variables: &[Var], of: impl Fn(&Var) -> Result<Tensor>) -> Result<Tensor> {
    let parts = variables
        .iter()
        .map(|variable| of(variable)?.flatten_all())
        .collect::<Result<Vec<_>>>()?;
    Tensor::cat(&parts, 0)
}

/// Sets every variable to its part of `weights`.
fn take_apart(weights: &Var, variables: &[Var]) -> Result<()> {
    let weights = weights.as_detached_tensor();
    let mut first = 0;
    for variable in variables {
        let count = variable.elem_count();
        let part = weights.narrow(0, first, count)?;
        variable.set(&part.reshape(variable.dims())?)?;
        first += count;
    }
    Ok(())
}

/// The variables in `count` groups: the largest first, each to the group with the fewest weights.
fn even_groups(variables: &[Var], count: usize) -> Vec<Vec<Var>> {
    let mut sorted: Vec<&Var> = variables.iter().collect();
    sorted.sort_by_key(|variable| std::cmp::Reverse(variable.elem_count()));
    let mut groups = vec![(0, Vec::new()); count.max(1)];
    for variable in sorted {
        if let Some((weights, group)) = groups.iter_mut().min_by_key(|(weights, _)| *weights) {
            *weights += variable.elem_count();
            group.push(variable.clone());
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Euclidean norm over the gradients of all variables.
fn norm(gradients: &GradStore, variables: &[Var]) -> Result<f64> {
    let all = variables
        .iter()
        .filter_map(|variable| gradients.get(variable));
    let squares = all
        .map(|gradient| gradient.sqr()?.sum_all())
        .collect::<Result<Vec<_>>>()?;
    if squares.is_empty() {
        return Ok(0.0);
    }
    // Read together: each reading waits for the device.
    let squares = Tensor::stack(&squares, 0)?.to_vec1::<f32>()?;
    Ok(squares.into_iter().map(f64::from).sum::<f64>().sqrt())
}

fn shorten(gradients: &mut GradStore, variables: &[Var], by: f64) -> Result<()> {
    for variable in variables {
        if let Some(gradient) = gradients.remove(variable) {
            gradients.insert(variable, (gradient * by)?);
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn variable(values: &[f32]) -> Var {
        Var::new(values, &Device::Cpu).unwrap()
    }

    /// The gradients of `weight` * sum of squares: 2 `weight` x.
    fn gradients(variables: &[Var], weight: f64) -> GradStore {
        let squares = variables
            .iter()
            .map(|x| x.sqr().unwrap().sum_all().unwrap());
        let loss = squares.reduce(|sum: Tensor, term| (sum + term).unwrap());
        (loss.unwrap() * weight).unwrap().backward().unwrap()
    }

    #[test]
    fn parts_are_summed_and_threads_change_no_bit() {
        let after = |threads: usize, weights: &[f64]| {
            let variables = vec![
                variable(&[1.0, -2.0, 3.0]),
                variable(&[0.5]),
                variable(&[4.0, 0.1]),
            ];
            let mut descent = Descent::new(variables.clone(), 20.0, threads).unwrap();
            let mut norms = Vec::new();
            for _ in 0..5 {
                let parts = weights.iter().map(|&weight| gradients(&variables, weight));
                norms.push(descent.step(parts.collect(), 0.1).unwrap());
            }
            let values = variables.iter().flat_map(|x| x.to_vec1::<f32>().unwrap());
            (norms, values.map(f32::to_bits).collect::<Vec<_>>())
        };
        let whole = after(1, &[1.0]);
        // 2 |x| with |x|^2 = 14 + 0.25 + 16.01.
        assert!((whole.0[0] - 2.0 * 30.26f64.sqrt()).abs() < 1e-5);
        assert_eq!(after(2, &[0.5, 0.5]), whole);
        assert_eq!(after(7, &[1.0]), whole);
    }

    #[test]
    fn weights_that_move_together_move_as_they_do_one_by_one() {
        let after = |together: bool| {
            let variables = vec![variable(&[1.0, -2.0, 3.0]), variable(&[0.5, 4.0])];
            let mut descent = Descent::new(variables.clone(), 5.0, 1).unwrap();
            if together {
                let settings = ParamsAdamW {
                    weight_decay: 0.0,
                    ..ParamsAdamW::default()
                };
                descent.mover = Mover::together(&variables, settings).unwrap();
            }
            for _ in 0..20 {
                descent.step(vec![gradients(&variables, 1.0)], 0.1).unwrap();
            }
            let values = variables.iter().flat_map(|x| x.to_vec1::<f32>().unwrap());
            values.collect::<Vec<_>>()
        };
        let (apart, together) = (after(false), after(true));
        for (apart, together) in apart.iter().zip(&together) {
            assert!(
                (apart - together).abs() < 1e-5,
                "{together} instead of {apart}"
            );
        }
    }

    #[test]
    fn a_gradient_that_is_not_finite_moves_nothing() {
        let x = variable(&[f32::INFINITY, 1.0]);
        let mut descent = Descent::new(vec![x.clone()], 20.0, 1).unwrap();
        let norm = descent.step(vec![gradients(std::slice::from_ref(&x), 1.0)], 0.1);
        assert!(!norm.unwrap().is_finite());
        assert_eq!(x.to_vec1::<f32>().unwrap(), [f32::INFINITY, 1.0]);
    }

    #[test]
    fn groups_hold_every_variable_once_and_are_even() {
        let variables: Vec<Var> = [5usize, 1, 4, 2, 3]
            .map(|len| variable(&vec![0.0; len]))
            .into();
        let groups = even_groups(&variables, 2);
        let counts = groups
            .iter()
            .map(|group| group.iter().map(|x| x.elem_count()).sum::<usize>());
        assert_eq!(counts.collect::<Vec<_>>(), [8, 7]);
    }
}
