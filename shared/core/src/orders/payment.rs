//! How and when an order is paid. Method and term must fit together.

use super::words::words;
use crate::base::error::Violations;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

words! {
    PaymentMethod {
        Cash = "cash",
        CertifiedFunds = "certified_funds",
        Comchek = "comchek",
        CompanyCheck = "company_check",
        Ach = "ach",
    }

    /// When: at a stop, or so many days after delivery.
    PaymentTerm {
        OnPickup = "on_pickup",
        OnDelivery = "on_delivery",
        Days2 = "days_2",
        Days5 = "days_5",
        Days10 = "days_10",
        Days15 = "days_15",
        Days30 = "days_30",
        Days60 = "days_60",
    }
}

impl PaymentMethod {
    /// The terms that it can be combined with.
    pub fn terms(self) -> &'static [PaymentTerm] {
        match self {
            // The first four: at a stop, or within days.
            Self::Cash | Self::CertifiedFunds => &PaymentTerm::ALL[..4],
            Self::Comchek | Self::CompanyCheck | Self::Ach => PaymentTerm::ALL,
        }
    }
}

/// Checks that both are there or neither, and that they fit.
pub fn check(method: Option<PaymentMethod>, term: Option<PaymentTerm>, violations: &mut Violations) {
    match (method, term) {
        (None, None) => {}
        (None, Some(_)) => violations.add("/payment_method", "is needed with a payment term"),
        (Some(_), None) => violations.add("/payment_term", "is needed with a payment method"),
        (Some(method), Some(term)) if !method.terms().contains(&term) => {
            let terms: Vec<_> = method.terms().iter().map(|term| term.as_str()).collect();
            violations.add("/payment_term", format!("{} can be paid {}", method.as_str(), terms.join(", ")));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(method: PaymentMethod, term: PaymentTerm) -> bool {
        let mut violations = Violations::default();
        check(Some(method), Some(term), &mut violations);
        violations.into_result().is_ok()
    }

    #[test]
    fn cash_and_certified_funds_are_paid_within_five_days() {
        use PaymentTerm::*;
        for method in [PaymentMethod::Cash, PaymentMethod::CertifiedFunds] {
            let fitting: Vec<_> = PaymentTerm::ALL.iter().filter(|&&term| fits(method, term)).collect();
            assert_eq!(fitting, [&OnPickup, &OnDelivery, &Days2, &Days5]);
        }
        assert!(
            PaymentTerm::ALL.iter().all(|&term| fits(PaymentMethod::Comchek, term) && fits(PaymentMethod::Ach, term))
        );
    }

    #[test]
    fn one_without_the_other_names_the_missing_one() {
        let mut violations = Violations::default();
        check(Some(PaymentMethod::Ach), None, &mut violations);
        assert!(format!("{:?}", violations.into_result()).contains("/payment_term"));
    }
}
