//! The client where there is no answer to be had.

use std::time::Duration;

use pdp_core::{Datetime, Request};
use pdp_grpc::{Client, ClientError};

use crate::support::{QUESTION, Running};

#[tokio::test]
async fn the_client_refuses_urls_that_it_would_not_keep_its_word_on() {
    for url in [
        "https://127.0.0.1:8170",
        "127.0.0.1:8170",
        "",
        "http://",
        "http://127.0.0.1:8170/v1",
        "http://127.0.0.1:8170/?q",
        "http://user@127.0.0.1:8170",
        "unix:/x",
        "unix://x",
        "unix:///x/",
        "ftp://127.0.0.1:8170",
    ] {
        match Client::connect(url, Duration::from_secs(5)).await {
            Err(ClientError::Url(error)) => {
                assert!(error.to_string().starts_with(&format!("`{url}` ")), "{error}")
            }
            other => panic!("expected that `{url}` is refused, got {other:?}"),
        }
    }
}

#[tokio::test]
async fn the_client_sends_no_time_and_says_so() {
    let server = Running::start(|_| {});
    let request = Request { now: Some(Datetime(0)), ..QUESTION };
    let error = server.client().await.authorize(&request).await.unwrap_err();
    assert!(
        matches!(error, ClientError::Request(_)) && error.to_string().contains("states a time"),
        "{error}"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_never_answers_is_an_error_after_the_deadline() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // The transport takes an accepted socket for a connection; the question is what times out.
    let client = Client::connect(&url, Duration::from_millis(50)).await.unwrap();
    match client.authorize(&QUESTION).await {
        Err(ClientError::Deadline(error)) => assert!(error.to_string().contains(&url), "{error}"),
        other => panic!("expected that the deadline passes, got {other:?}"),
    }
}
