//! Stripe is down, slow, or says no: the caller is told in time, nothing is half done, and afterwards all goes on.

use std::time::{Duration, Instant};

use carhaul_testkit::StripeFault;

use super::{CHECKOUT, PORTAL, Shop, a_return, an_order};

/// More than the patience of the tests, far less than that of the gateway.
const IN_TIME: Duration = Duration::from_secs(5);

#[tokio::test]
async fn while_stripe_is_away_the_caller_is_told_when_to_come_back() {
    let shop = Shop::open().await;
    let customer = shop.app.carrier_on("free").await;
    shop.app.run(&format!("INSERT INTO stripe_customers (tenant_id, id) VALUES ('{}', 'cus_{0}')", customer.id)).await;
    for fault in [
        StripeFault::Refuse,
        StripeFault::Hang,
        StripeFault::Slow(Duration::from_secs(30)),
        StripeFault::LoseAnswer,
        StripeFault::Status(500),
        StripeFault::Status(503),
        StripeFault::Status(429),
        StripeFault::Status(409),
        // Our key is wrong, or may not do this.
        StripeFault::Status(401),
        StripeFault::Status(403),
    ] {
        shop.stripe.fault(Some(fault));
        for (client, path, body) in
            [(&shop.carrier.owner, CHECKOUT, an_order("STARTER_MONTHLY")), (&customer.owner, PORTAL, a_return())]
        {
            let started = Instant::now();
            let reply = client.post_once(path, "k1", body).await;
            assert!(started.elapsed() < IN_TIME, "{fault:?}: {:?}", started.elapsed());
            assert!(reply.headers.contains_key("retry-after"), "{fault:?}: {}", reply.text);
            reply.refused(503, "unavailable");
        }
    }
    assert_eq!(shop.recorded_customers().await, 0);
    shop.stripe.fault(None);
    shop.carrier.owner.post_once(CHECKOUT, "k1", an_order("STARTER_MONTHLY")).await.expect(201);
    assert_eq!((shop.recorded_customers().await, shop.told("customer.created")), (1, 1));
}

#[tokio::test]
async fn answers_that_are_each_in_time_are_not_waited_for_if_together_they_are_not() {
    let shop = Shop::open().await;
    shop.stripe.fault(Some(StripeFault::Slow(Duration::from_millis(450))));
    let started = Instant::now();
    shop.carrier.owner.post_once(CHECKOUT, "k1", an_order("STARTER_MONTHLY")).await.refused(503, "unavailable");
    assert!((1_400..3_000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    assert!(shop.stripe.requests().len() >= 2, "some of it was answered");
    shop.stripe.fault(None);
    shop.carrier.owner.post_once(CHECKOUT, "k1", an_order("STARTER_MONTHLY")).await.expect(201);
    assert_eq!((shop.recorded_customers().await, shop.told("customer.created")), (1, 1));
}

#[tokio::test]
async fn what_stripe_refuses_is_no_fault_of_ours_and_quotes_nothing_of_it() {
    let shop = Shop::open().await;
    for status in [400, 402, 404, 422] {
        shop.stripe.fault(Some(StripeFault::Status(status)));
        let problem = shop.checkout().await.refused(409, "conflict");
        assert_eq!(problem["code"], "refused_by_payment_service", "{status}");
        assert!(!problem.to_string().contains("An error that was asked for"), "{problem}");
    }
    assert_eq!(shop.recorded_customers().await, 0);
    shop.stripe.fault(None);
    shop.checkout().await.expect(201);
}

#[tokio::test]
async fn a_slow_answer_is_waited_for_and_holds_up_nobody_else() {
    let shop = Shop::open().await;
    shop.stripe.fault(Some(StripeFault::Slow(Duration::from_millis(200))));
    let waiting = shop.carrier.owner.through(&shop.app.another_instance());
    let waiting = tokio::spawn(async move { waiting.post(CHECKOUT, an_order("STARTER_MONTHLY")).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    // Not even of the same carrier, and no transaction is open meanwhile.
    shop.carrier.owner.get("/v1/billing").await.expect(200);
    let open = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'carhaul_api' AND state LIKE 'idle in transaction%' \
                AND query LIKE '%stripe_customers%'";
    assert_eq!(shop.app.count(open).await, 0);
    assert!(!waiting.is_finished());
    waiting.await.unwrap().expect(201);
}
