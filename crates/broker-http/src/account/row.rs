//! PUT of a container row: what container servers report to an account.

use std::time::Duration;

use broker_api::{
    AccountBroker, AccountBrokerExt, BrokerOptions, ContainerRecord, ErrorKind, PolicyIndex,
    TimestampText,
};
use http::{HeaderName, StatusCode};
use swift_conf::value;

use super::Call;
use crate::device;
use crate::request::{self, invalid, required, required_number};
use crate::request::{
    X_ACCOUNT_OVERRIDE_DELETED, X_BACKEND_STORAGE_POLICY_INDEX, X_BYTES_USED, X_DELETE_TIMESTAMP,
    X_OBJECT_COUNT, X_PUT_TIMESTAMP,
};
use crate::response::{self, Answer, HTML, Refused};
use crate::status::{self, OrRefuse};

/// How long the row of a request that a client waits for may wait for other writers.
const WAIT_WITH_TRANS_ID: Duration = Duration::from_secs(3);

impl Call<'_> {
    pub(super) async fn put_row(&self) -> Answer {
        let headers = &self.parts.headers;
        device::check_room(self.context, self.target.device).await?;
        let at = request::optional_timestamp(headers)?;
        let record = self.record()?;
        let options = self.row_options();
        let broker = self.broker(&options)?;
        let auto_create = self.context.is_auto_created(self.target.account);
        let override_deleted = request::text(headers, &X_ACCOUNT_OVERRIDE_DELETED)
            .is_some_and(|text| text.eq_ignore_ascii_case("yes"));
        if !override_deleted {
            self.check_not_deleted(&*broker, options, auto_create)
                .await?;
        }
        let answer = record_answer(&record);
        let mut put = broker.put_container(record.clone()).await;
        if auto_create && matches!(&put, Err(error) if error.kind() == ErrorKind::NotFound) {
            let at = at.unwrap_or_else(|| self.context.clock.now());
            self.create(&*broker, at).await?;
            put = broker.put_container(record).await;
        }
        put.map_err(|error| status::refuse(&error, self.target.device))?;
        Ok(answer)
    }

    fn row_options(&self) -> BrokerOptions {
        let options = BrokerOptions::default();
        match self.has_trans_id() {
            true => options.with_pending_timeout(WAIT_WITH_TRANS_ID),
            false => options,
        }
    }

    /// Rows matter to the question only when the account was deleted after it was put. So the first
    /// look leaves buffered rows alone: most reports need not wait until others are merged.
    async fn check_not_deleted(
        &self,
        broker: &dyn AccountBroker,
        options: BrokerOptions,
        auto_create: bool,
    ) -> Result<(), Refused> {
        let unmerged = self.broker(&options.skipping_commits())?;
        let info = match unmerged.info().await.or_refuse(self.target.device)? {
            Some(info) if !info.can_be_deleted() => return Ok(()),
            Some(_) => broker.info().await.or_refuse(self.target.device)?,
            None => None,
        };
        match info {
            Some(info) if info.is_deleted() => Err(Refused::page(StatusCode::NOT_FOUND)),
            None if !auto_create => Err(Refused::page(StatusCode::NOT_FOUND)),
            _ => Ok(()),
        }
    }

    fn record(&self) -> Result<ContainerRecord, Refused> {
        let headers = &self.parts.headers;
        let time = |name: &HeaderName, shown: &str| {
            TimestampText::parse(required(headers, name, shown)?).map_err(|_| invalid(shown))
        };
        let policy_index = match request::text(headers, &X_BACKEND_STORAGE_POLICY_INDEX) {
            None => 0,
            Some(text) => {
                value::integer(&text).ok_or_else(|| invalid("X-Backend-Storage-Policy-Index"))?
            }
        };
        Ok(ContainerRecord::report(
            self.target.container,
            time(&X_PUT_TIMESTAMP, "X-Put-Timestamp")?,
            time(&X_DELETE_TIMESTAMP, "X-Delete-Timestamp")?,
            required_number(headers, &X_OBJECT_COUNT, "X-Object-Count")?,
            required_number(headers, &X_BYTES_USED, "X-Bytes-Used")?,
            PolicyIndex(policy_index),
        ))
    }
}

/// 204 for a report of deletion, 201 for any other: the header texts are compared, nothing else.
fn record_answer(record: &ContainerRecord) -> crate::Response {
    match record.delete_timestamp > record.put_timestamp {
        true => response::without_length(StatusCode::NO_CONTENT, HTML),
        false => response::with_no_body(StatusCode::CREATED, HTML),
    }
}
