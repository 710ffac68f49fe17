//! PUT, POST and DELETE of a container.

use broker_api::{
    BrokerOptions, ContainerBroker, ContainerInfo, ContainerMarks, Initialized, MetadataEntry,
    PolicyIndex, Timestamp,
};
use http::{HeaderName, StatusCode};
use swift_conf::value;

use super::{Call, sync_to, timed};
use crate::context::ServerContext;
use crate::device;
use crate::request::{self, X_BACKEND_STORAGE_POLICY_INDEX, has_prefix, invalid};
use crate::response::{self, Answer, HTML, Refused};
use crate::status::{OrRefuse, stored_metadata};

const X_BACKEND_STORAGE_POLICY_DEFAULT: HeaderName =
    HeaderName::from_static("x-backend-storage-policy-default");
const X_BACKEND_NO_TIMESTAMP_UPDATE: HeaderName =
    HeaderName::from_static("x-backend-no-timestamp-update");
const SYNC_TO_KEY: &str = "X-Container-Sync-To";

/// What a PUT did to the container.
struct Put {
    is_new: bool,
    policy_index: PolicyIndex,
    /// The facts before the request; `None` for a container that it made.
    before: Option<ContainerInfo>,
}

impl Call<'_> {
    /// PUT of any kind: the container, its shard ranges, or one row.
    pub(super) async fn put(&self) -> Answer {
        let at = request::timestamp(&self.parts.headers)?;
        self.check_sync_to()?;
        device::check_room(self.context, self.target.device).await?;
        if !self.target.object.is_empty() {
            return timed("PUT_object", self.put_row(at).await);
        }
        if self.record_type() == "shard" {
            return timed("PUT_shard", self.put_shards());
        }
        timed("PUT_container", self.put_container(at).await)
    }

    async fn put_container(&self, at: Timestamp) -> Answer {
        let requested = self.policy_index()?;
        let new_policy = match requested {
            Some(index) => index,
            None => self.default_policy()?,
        };
        let broker = self.broker(&BrokerOptions::default())?;
        let put = self
            .create_or_touch(&*broker, requested, new_policy, at)
            .await?;
        self.store_metadata(&*broker, put.before.as_ref(), at)
            .await?;
        self.report(&*broker).await?;
        let mut response = match put.is_new {
            true => response::with_no_body(StatusCode::CREATED, HTML),
            false => response::page(StatusCode::ACCEPTED),
        };
        set_policy(&mut response, put.policy_index);
        Ok(response)
    }

    fn default_policy(&self) -> Result<PolicyIndex, Refused> {
        match request::text(&self.parts.headers, &X_BACKEND_STORAGE_POLICY_DEFAULT) {
            None => Ok(PolicyIndex(self.context.policies.default().index.into())),
            Some(text) => value::integer(&text)
                .map(PolicyIndex)
                .ok_or_else(|| invalid("X-Backend-Storage-Policy-Default")),
        }
    }

    async fn create_or_touch(
        &self,
        broker: &dyn ContainerBroker,
        requested: Option<PolicyIndex>,
        new_policy: PolicyIndex,
        at: Timestamp,
    ) -> Result<Put, Refused> {
        let device = self.target.device;
        let mut info = broker.info().await.or_refuse(device)?;
        if info.is_none() {
            if self.create(broker, new_policy, at).await? == Initialized::Created {
                return Ok(Put {
                    is_new: true,
                    policy_index: new_policy,
                    before: None,
                });
            }
            info = broker.info().await.or_refuse(device)?;
        }
        let info = info.ok_or_else(|| Refused::page(StatusCode::NOT_FOUND))?;
        let is_recreated = info.is_deleted();
        if is_recreated {
            let set = broker.set_storage_policy_index(new_policy, at).await;
            set.or_refuse(device)?;
        } else if requested.is_some_and(|index| index != info.policy_index) {
            let mut conflict = response::page(StatusCode::CONFLICT);
            set_policy(&mut conflict, info.policy_index);
            return Err(conflict.into());
        }
        broker.update_put_timestamp(at).await.or_refuse(device)?;
        self.check_live(broker).await?;
        if is_recreated {
            broker
                .update_status_changed_at(at)
                .await
                .or_refuse(device)?;
        }
        Ok(Put {
            is_new: is_recreated,
            policy_index: if is_recreated {
                new_policy
            } else {
                info.policy_index
            },
            before: Some(info),
        })
    }

    async fn check_live(&self, broker: &dyn ContainerBroker) -> Result<(), Refused> {
        let info = broker.info().await.or_refuse(self.target.device)?;
        match info.is_some_and(|info| !info.is_deleted()) {
            true => Ok(()),
            false => Err(Refused::page(StatusCode::CONFLICT)),
        }
    }

    /// Merges the request's metadata; a new destination starts container sync afresh. Containers
    /// that neither request nor store knows to be synced cost no further call.
    async fn store_metadata(
        &self,
        broker: &dyn ContainerBroker,
        before: Option<&ContainerInfo>,
        at: Timestamp,
    ) -> Result<(), Refused> {
        let device = self.target.device;
        let keeps = |name: &str| is_kept(name, self.context);
        let updates = request::metadata(self.parts, keeps, &at.internal())
            .map_err(|_| request::metadata_not_utf8())?;
        if updates.is_empty() {
            return Ok(());
        }
        let sync_to = updates.iter().find(|update| update.key == SYNC_TO_KEY);
        if let (Some(update), Some(before)) = (sync_to, before) {
            let stored = stored_metadata(&before.store)?;
            let is_same = stored
                .get(SYNC_TO_KEY)
                .is_some_and(|old| old.value == update.value);
            if !is_same {
                let mut marks = ContainerMarks::default();
                marks.x_container_sync_point1 = Some(-1);
                marks.x_container_sync_point2 = Some(-1);
                broker.set_marks(&marks).await.or_refuse(device)?;
            }
        }
        let limits = self.context.metadata_limits();
        let updated = broker.update_metadata(&updates, Some(&limits)).await;
        updated.or_refuse(device)?;
        if updates.iter().any(MetadataEntry::is_about_sync) || before.is_some_and(sync_to::concerns)
        {
            self.register_sync(broker).await;
        }
        Ok(())
    }

    pub(super) async fn post(&self) -> Answer {
        let headers = &self.parts.headers;
        let at = request::timestamp(headers)?;
        self.check_sync_to()?;
        device::check_room(self.context, self.target.device).await?;
        let broker = self.broker(&BrokerOptions::default())?;
        let info = broker.info().await.or_refuse(self.target.device)?;
        let info = info
            .filter(|info| !info.is_deleted())
            .ok_or_else(|| Refused::page(StatusCode::NOT_FOUND))?;
        if !request::is_true(headers, &X_BACKEND_NO_TIMESTAMP_UPDATE) {
            let updated = broker.update_put_timestamp(at).await;
            updated.or_refuse(self.target.device)?;
        }
        self.store_metadata(&*broker, Some(&info), at).await?;
        Ok(response::without_length(StatusCode::NO_CONTENT, HTML))
    }

    pub(super) async fn delete(&self) -> Answer {
        let at = request::timestamp(&self.parts.headers)?;
        let device = self.target.device;
        device::check(self.context, device).await?;
        let broker = self.broker(&BrokerOptions::default())?;
        let info = broker.info().await.or_refuse(device)?;
        let info = info.ok_or_else(|| Refused::page(StatusCode::NOT_FOUND))?;
        if !info.is_empty() {
            return Err(Refused::page(StatusCode::CONFLICT));
        }
        let existed = !info.store.put_timestamp.value().is_zero() && !info.is_deleted();
        broker.delete(at).await.or_refuse(device)?;
        let after = broker.info().await.or_refuse(device)?;
        if after.as_ref().is_some_and(|info| !info.is_deleted()) {
            return Err(Refused::page(StatusCode::CONFLICT));
        }
        if after.as_ref().is_some_and(sync_to::concerns) {
            self.register_sync(&*broker).await;
        }
        self.report(&*broker).await?;
        match existed {
            true => Ok(response::without_length(StatusCode::NO_CONTENT, HTML)),
            false => Err(Refused::page(StatusCode::NOT_FOUND)),
        }
    }
}

/// Whether the container server keeps a header; `name` is in lower case.
pub(super) fn is_kept(name: &str, context: &ServerContext) -> bool {
    match name {
        "x-container-read"
        | "x-container-write"
        | "x-container-sync-key"
        | "x-container-sync-to" => true,
        "x-versions-location" => context.allow_versions,
        name => has_prefix(name, "x-container-meta-") || has_prefix(name, "x-container-sysmeta-"),
    }
}

pub(super) fn set_policy(response: &mut crate::Response, index: PolicyIndex) {
    response::set_number(response, X_BACKEND_STORAGE_POLICY_INDEX, index.0);
}
