//! Reading the columns of a row by their names.

use carhaul_core::platform::db::InOrder;
use sqlx::Executor;

use crate::support::connect;

#[tokio::test]
async fn columns_are_found_by_name_in_any_order() {
    let mut api = connect("carhaul_api").await;
    let row = api.fetch_one("SELECT 1 AS a, 2 AS b, 3 AS c").await.unwrap();
    let value = |name| ["a", "b", "c"].iter().position(|known| *known == name).unwrap() as i32 + 1;
    for names in [["a", "b", "c"], ["c", "a", "b"], ["b", "b", "a"]] {
        let row = InOrder::new(&row);
        for name in names {
            assert_eq!(row.try_get::<i32>(name).unwrap(), value(name), "{name} of {names:?}");
        }
    }
    let unknown = InOrder::new(&row).try_get::<i32>("d").unwrap_err().to_string();
    assert!(unknown.ends_with("name: d"), "{unknown}");
    let mistaken = InOrder::new(&row).try_get::<String>("b").unwrap_err().to_string();
    assert!(mistaken.contains("column \"b\""), "{mistaken}");
}
