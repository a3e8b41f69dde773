//! What an answer costs.

use rust_decimal::{Decimal, RoundingStrategy};

use super::Usage;

/// Of a model, for a million tokens each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    pub input: Decimal,
    pub output: Decimal,
}

/// Digits after the point of a cost: a millionth of the price's currency.
pub const COST_SCALE: u32 = 6;

const MILLION: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);

/// What the usage costs at this price, to the micro-unit. It is rounded once, over input and output together, half to even:
/// sums over many executions lean neither way.
///
/// None when the figure is beyond what a decimal holds, which no bill is.
pub fn cost(usage: Usage, price: Price) -> Option<Decimal> {
    let input = Decimal::from(usage.input_tokens).checked_mul(price.input)?;
    let output = Decimal::from(usage.output_tokens).checked_mul(price.output)?;
    let exact = input.checked_add(output)?.checked_div(MILLION)?;
    Some(exact.round_dp_with_strategy(COST_SCALE, RoundingStrategy::MidpointNearestEven))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn price(input: i64, output: i64) -> Price {
        // To the hundredth of a cent.
        Price { input: Decimal::new(input, 4), output: Decimal::new(output, 4) }
    }

    #[test]
    fn a_cost_is_rounded_once_half_to_even() {
        let of = |input_tokens, output_tokens, price| cost(Usage { input_tokens, output_tokens }, price).unwrap();
        assert_eq!(of(1_000_000, 1_000_000, price(30_000, 150_000)), Decimal::new(18, 0));
        assert_eq!(of(1_234, 567, price(30_000, 150_000)), Decimal::new(12_207, 6));
        // A half of a micro-unit: to the even neighbour.
        assert_eq!(of(1, 0, price(5_000, 0)), Decimal::ZERO);
        assert_eq!(of(3, 0, price(5_000, 0)), Decimal::new(2, 6));
        // Two halves are one, since only their sum is rounded.
        assert_eq!(of(1, 1, price(5_000, 5_000)), Decimal::new(1, 6));
        assert_eq!(
            cost(
                Usage { input_tokens: u64::MAX, output_tokens: 0 },
                Price { input: Decimal::MAX, output: Decimal::ZERO }
            ),
            None
        );
    }

    proptest! {
        #[test]
        fn a_cost_is_within_half_a_micro_unit_of_the_exact_one_and_grows_with_usage(
            input in 0_u64..10_000_000_000, output in 0_u64..10_000_000_000, more in 0_u64..1_000_000,
            of_input in 0_i64..10_000_000, of_output in 0_i64..10_000_000,
        ) {
            let price = price(of_input, of_output);
            let usage = Usage { input_tokens: input, output_tokens: output };
            let cost_of = |usage| cost(usage, price).unwrap();
            // In units of 10^-10 of the currency, exactly.
            let exact = i128::from(input) * i128::from(of_input) + i128::from(output) * i128::from(of_output);
            let rounded = cost_of(usage);
            prop_assert!(rounded.scale() <= COST_SCALE);
            let rounded_units = i128::try_from(rounded * Decimal::new(1_000_000, 0)).unwrap() * 10_000;
            prop_assert!((rounded_units - exact).abs() <= 5_000);
            let larger = Usage { input_tokens: input + more, output_tokens: output + more };
            prop_assert!(cost_of(larger) >= rounded);
        }
    }
}
