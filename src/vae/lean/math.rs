//! Exponential, logarithm and what is made of them, a vector at a time and without branches.
//!
//! Polynomials and reductions are those of Cephes (Moshier, `expf.c` and `logf.c`). Every lane is
//! computed alike, so a lane's bits depend on that lane only.

use pulp::Simd;

/// ln 2 in two parts: few bits, so that its multiples by an exponent are exact, and the rest.
const LN_2_HIGH: f32 = 355.0 / 512.0;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// e^x within 2 units in the last place. Beyond -87 and 88 it stays at its value there: it is never
/// zero and never infinite.
#[inline(always)]
pub(super) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let x = simd.min_f32s(
        simd.max_f32s(x, simd.splat_f32s(-87.0)),
        simd.splat_f32s(88.0),
    );
    // 1.5 * 2^23 puts round(x / ln 2) into the low bits; 127 more make it a biased exponent.
    let magic = simd.splat_f32s(12_583_039.0);
    let log2_e = simd.splat_f32s(std::f32::consts::LOG2_E);
    let shifted = simd.mul_add_e_f32s(x, log2_e, magic);
    let n = simd.sub_f32s(shifted, magic);
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-LN_2_HIGH), x);
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-LN_2_LOW), r);
    let mut p = simd.splat_f32s(1.987_569_1e-4);
    for coefficient in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        p = simd.mul_add_e_f32s(p, r, simd.splat_f32s(coefficient));
    }
    let p = simd.mul_add_e_f32s(simd.mul_f32s(p, r), r, r);
    let p = simd.add_f32s(p, simd.splat_f32s(1.0));
    let bits = simd.transmute_u32s_f32s(shifted);
    let power = simd.wrapping_dyn_shl_u32s(bits, simd.splat_u32s(23));
    simd.mul_f32s(p, simd.transmute_f32s_u32s(power))
}

/// ln x for positive normal x, within 2 units in the last place or 1e-7.
#[inline(always)]
pub(in crate::vae) fn ln<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // x = m * 2^e with m in [sqrt(1/2), sqrt(2)): the offset makes the cut fall there.
    let bits = simd.transmute_u32s_f32s(x);
    let moved = simd.add_u32s(bits, simd.splat_u32s(0x3f80_0000 - 0x3f35_04f3));
    let exponent = simd.wrapping_dyn_shr_u32s(moved, simd.splat_u32s(23));
    // 2^23 + the biased exponent, written into the bits of a float.
    let exponent = simd.or_u32s(exponent, simd.splat_u32s(0x4b00_0000));
    let e = simd.sub_f32s(
        simd.transmute_f32s_u32s(exponent),
        simd.splat_f32s(8_388_735.0),
    );
    let mantissa = simd.and_u32s(moved, simd.splat_u32s(0x007f_ffff));
    let mantissa = simd.add_u32s(mantissa, simd.splat_u32s(0x3f35_04f3));
    let m = simd.sub_f32s(simd.transmute_f32s_u32s(mantissa), simd.splat_f32s(1.0));
    let square = simd.mul_f32s(m, m);
    let mut p = simd.splat_f32s(7.037_683_6e-2);
    for coefficient in [
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_7e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ] {
        p = simd.mul_add_e_f32s(p, m, simd.splat_f32s(coefficient));
    }
    let p = simd.mul_f32s(simd.mul_f32s(p, m), square);
    let p = simd.mul_add_e_f32s(e, simd.splat_f32s(LN_2_LOW), p);
    let p = simd.mul_add_e_f32s(square, simd.splat_f32s(-0.5), p);
    simd.mul_add_e_f32s(e, simd.splat_f32s(LN_2_HIGH), simd.add_f32s(m, p))
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub(in crate::vae) fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    simd.div_f32s(one, simd.add_f32s(one, exp(simd, simd.neg_f32s(x))))
}

/// x / (1 + e^-x), also called swish.
#[inline(always)]
pub(super) fn silu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    simd.div_f32s(x, simd.add_f32s(one, exp(simd, simd.neg_f32s(x))))
}

/// ln(1 + e^x), within 2e-7 absolute or relative, whichever is larger.
#[inline(always)]
pub(super) fn softplus<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let small = exp(simd, simd.neg_f32s(simd.abs_f32s(x)));
    let grown = ln(simd, simd.add_f32s(simd.splat_f32s(1.0), small));
    simd.add_f32s(simd.max_f32s(x, simd.splat_f32s(0.0)), grown)
}

#[cfg(test)]
mod tests {
    use pulp::{Arch, WithSimd};

    use super::*;

    #[derive(Clone, Copy)]
    enum Function {
        Exp,
        Ln,
        Sigmoid,
        Silu,
        Softplus,
    }

    struct Apply<'a>(Function, &'a mut [f32]);

    impl WithSimd for Apply<'_> {
        type Output = ();

        fn with_simd<S: Simd>(self, simd: S) {
            let (vectors, rest) = S::as_mut_simd_f32s(self.1);
            assert!(rest.is_empty());
            for x in vectors {
                *x = match self.0 {
                    Function::Exp => exp(simd, *x),
                    Function::Ln => ln(simd, *x),
                    Function::Sigmoid => sigmoid(simd, *x),
                    Function::Silu => silu(simd, *x),
                    Function::Softplus => softplus(simd, *x),
                };
            }
        }
    }

    /// The largest error of `function` over `inputs`, as a share of max(|exact|, `least`), on the
    /// machine's vectors and on the portable path.
    fn worst(function: Function, inputs: &[f32], exact: impl Fn(f64) -> f64, least: f64) -> f64 {
        let error = |arch: Arch| {
            let mut found = inputs.to_vec();
            arch.dispatch(Apply(function, &mut found));
            let errors = inputs.iter().zip(&found).map(|(&x, &y)| {
                let exact = exact(f64::from(x));
                assert!(y.is_finite(), "{x} gives {y}");
                (f64::from(y) - exact).abs() / exact.abs().max(least)
            });
            errors.fold(0.0, f64::max)
        };
        error(Arch::new()).max(error(Arch::Scalar))
    }

    /// Evenly spaced, a multiple of every vector length.
    fn grid(from: f32, to: f32) -> Vec<f32> {
        let count = 16_384u16;
        (0..count)
            .map(|i| from + (to - from) * f32::from(i) / f32::from(count - 1))
            .collect()
    }

    #[test]
    fn exp_is_right_over_its_range_and_stops_at_its_ends() {
        assert!(worst(Function::Exp, &grid(-87.0, 88.0), f64::exp, 0.0) < 2.4e-7);
        assert!(worst(Function::Exp, &grid(-0.01, 0.01), f64::exp, 0.0) < 1.2e-7);
        let beyond = |x: f64| x.clamp(-87.0, 88.0).exp();
        assert!(worst(Function::Exp, &grid(-1e30, 1e30), beyond, 0.0) < 2.4e-7);
    }

    #[test]
    fn ln_is_right_from_the_smallest_normal_number_to_the_largest() {
        let powers: Vec<f32> = grid(-126.0, 127.9)
            .iter()
            .map(|x| x.exp2().max(f32::MIN_POSITIVE))
            .collect();
        assert!(worst(Function::Ln, &powers, f64::ln, 1.0) < 1.5e-7);
        assert!(worst(Function::Ln, &grid(0.5, 2.0), f64::ln, 1.0) < 1.0e-7);
        assert!(worst(Function::Ln, &grid(0.999, 1.001), f64::ln, 1e-3) < 2e-7);
    }

    #[test]
    fn sigmoid_and_silu_are_right() {
        let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
        assert!(worst(Function::Sigmoid, &grid(-80.0, 80.0), logistic, 0.0) < 4e-7);
        let swish = |x: f64| x / (1.0 + (-x).exp());
        assert!(worst(Function::Silu, &grid(-80.0, 80.0), swish, 1e-30) < 4e-7);
        assert!(worst(Function::Silu, &grid(-1e6, 1e6), swish, 1.0) < 4e-7);
    }

    #[test]
    fn softplus_is_right_and_linear_far_out() {
        let exact = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
        assert!(worst(Function::Softplus, &grid(-100.0, 100.0), exact, 1.0) < 2e-7);
        assert!(worst(Function::Softplus, &grid(-3.0, 3.0), exact, 1.0) < 2e-7);
        assert!(worst(Function::Softplus, &grid(-1e30, 1e30), exact, 1.0) < 2e-7);
    }
}
