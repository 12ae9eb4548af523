//! Who may ask about whom, told by certificate and by user id.

use std::os::unix::fs::MetadataExt;

use pdp_core::{Request, Uid};
use pdp_grpc::{CallerRule, Client, ClientError, Name, UnixSocket, Who, Whom};

use crate::certificates::{Pki, dns, uri};
use crate::support::{QUESTION, Running, SOON};

const PERMISSION_DENIED: i32 = 7;

fn rule(who: Who) -> CallerRule {
    CallerRule { who, trust_delegation: false, explain: false, principals: None, tenants: None }
}

async fn refused(client: &Client, request: &Request<'_>) -> String {
    match client.authorize(request).await {
        Err(ClientError::Refused(error)) if error.code() == PERMISSION_DENIED => {
            error.message().to_owned()
        }
        other => panic!("expected that the caller is refused, got {other:?}"),
    }
}

#[tokio::test]
async fn a_caller_is_known_by_its_certificate_and_confined() {
    let pki = Pki::new();
    let callers = vec![
        CallerRule {
            principals: Some(vec![Whom::Type("User".to_owned())]),
            ..rule(Who::Spiffe("spiffe://d/web/*".to_owned()))
        },
        CallerRule {
            trust_delegation: true,
            principals: Some(vec![Whom::One(Name::new("User", "alice"))]),
            ..rule(Who::Dns("gateway.example".to_owned()))
        },
        CallerRule {
            tenants: Some(vec![Name::new("Tenant", "a")]),
            ..rule(Who::Spiffe("spiffe://d/tenant-a".to_owned()))
        },
    ];
    let server = Running::start(|config| {
        config.tls = Some(pki.server(true));
        config.callers = callers;
    });
    let client = async |names: &[rcgen::SanType]| {
        Client::connect_with(&server.own_url, &pki.client(names)).await.unwrap()
    };
    let bot = Request { principal: Uid::new("Bot", "b"), ..QUESTION };
    let bob = Request { on_behalf_of: Some(Uid::new("User", "bob")), ..QUESTION };
    let alice = Request { on_behalf_of: Some(QUESTION.principal), ..QUESTION };

    let web = client(&[uri("spiffe://d/web/1")]).await;
    assert_eq!(web.authorize(&QUESTION).await.unwrap().reason.as_str(), "no_bundle");
    assert!(refused(&web, &bot).await.contains("`Bot::\"b\"`"));
    // It may ask about both, but is not believed.
    assert_eq!(web.authorize(&bob).await.unwrap().reason.as_str(), "invalid_request");

    let gateway = client(&[dns("gateway.example")]).await;
    assert_eq!(gateway.authorize(&alice).await.unwrap().reason.as_str(), "no_bundle");
    assert!(refused(&gateway, &bob).await.contains("`User::\"bob\"`"));

    // Without a bundle nobody is in the tenant; the tenant itself is.
    let tenant = client(&[uri("spiffe://d/tenant-a")]).await;
    assert!(refused(&tenant, &QUESTION).await.contains("`User::\"alice\"`"));
    let itself = Request { principal: Uid::new("Tenant", "a"), ..QUESTION };
    assert_eq!(tenant.authorize(&itself).await.unwrap().reason.as_str(), "no_bundle");

    for stranger in [
        client(&[uri("spiffe://d/other")]).await,
        // Two ids are none.
        client(&[uri("spiffe://d/web/1"), uri("spiffe://d/web/2")]).await,
    ] {
        assert!(
            refused(&stranger, &QUESTION).await.contains("is not one that this server answers")
        );
    }
    drop((web, gateway, tenant));
    server.stop().await;
}

#[tokio::test]
async fn a_caller_is_known_by_its_user_id() {
    let folder = tempfile::tempdir().unwrap();
    let ours = std::fs::metadata(folder.path()).unwrap().uid();
    for (user, fits) in [(ours, true), (ours + 1, false)] {
        let server = Running::start(|config| {
            config.unix = Some(UnixSocket::private(folder.path().join("s")));
            config.callers = vec![rule(Who::UnixUser(user))];
        });
        let client = Client::connect(&server.own_url, SOON).await.unwrap();
        match fits {
            true => assert!(client.authorize(&QUESTION).await.is_ok()),
            false => assert!(refused(&client, &QUESTION).await.contains("user id")),
        }
        drop(client);
        server.stop().await;
    }
}
