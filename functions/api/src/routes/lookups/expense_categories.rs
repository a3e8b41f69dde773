use carhaul_core::lookups::expense_categories::{ExpenseCategory, ExpenseCategoryPatch, NewExpenseCategory};

super::lookup_routes!(
    ExpenseCategory,
    NewExpenseCategory,
    ExpenseCategoryPatch,
    "/v1/expense-categories",
    "expense_category",
    "expense_categories",
    "expense categories",
    "Delete an expense category."
);
