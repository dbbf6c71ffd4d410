package gcp

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/api/googleapi"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
)

// cloudassetResources lists how the resources of a scope are configured, in one
// listing for all of its projects. What a service's own API would show is in
// resource.data, as the inventory has it.
//
// Limits: the values of the metadata of instances and of the environment of
// containers are redacted; their names stay. What is regional comes under the plain
// type, or not at all, where the inventory has no type for it.
// Limits: the values of the metadata of instances and nodes are redacted; their keys
// stay. A cluster lists its node pools, which are therefore not read by themselves.
// Source: Cloud Asset Inventory, asset types; Cloud Asset API reference, assets.list.
func cloudassetResources(e *Estate) *collector {
	return &collector{estate: e, read: readResources, spec: collectors.Spec{
		Name:      "gcp.cloudasset_resources",
		Summary:   "Resources of a whole organisation, folder or project as Cloud Asset Inventory has them.",
		Kinds:     kindsOf(resourceTypes()),
		Reach:     collectors.Global,
		Calls:     assetCall("cloudasset.assets.listResource"),
		Sensitive: assetSecrets(),
	}}
}

// assetSecrets names what of a resource must not be kept.
func assetSecrets() []string {
	return []string{
		// Metadata of instances and of projects ("items") holds scripts, keys and configuration
		// as pairs of key and value, and nothing tells which of them is a secret.
		"items.value",
		// The same of nodes of a cluster, as a map: each of its values. "config" is that of a
		// node pool. What starts a node and what a node sends to a registry may hold a secret too.
		"nodeConfig.metadata", "config.metadata", "initScript.args", "hosts.header.value",
		// A managed instance group writes what it adds to them as an object.
		"allInstancesConfig.properties.metadata",
		// Keys and passwords. A service sends few of them back, and none is evidence.
		"privateKeyData", "privateKey", "pemPrivateKey", "clientKey", "rawKey", "rsaEncryptedKey", "password", "rootPassword", "keyString",
		// What a URL map tells callers by, adds for its backends and tests itself
		// with: a shared secret often is a header or a parameter.
		"headerMatches.exactMatch", "headerMatches.prefixMatch", "headerMatches.suffixMatch", "headerMatches.regexMatch",
		"queryParameterMatches.exactMatch", "queryParameterMatches.regexMatch",
		"requestHeadersToAdd.headerValue", "tests.headers.value",
		// The same of a backend service, written "name: value", and what it signs in
		// with: to Identity-Aware Proxy, and to a bucket of another cloud.
		"customRequestHeaders", "oauth2ClientSecret", "oauth2ClientSecretSha256", "awsV4Authentication.accessKey",
		// What a notification channel signs in with where it sends to. The address of
		// a webhook lets in who knows it, and a number is a person's.
		"auth_token", "service_key", "sensitiveLabels", "labels.url", "labels.number",
		// What a container is started with, in its environment, on its command line and
		// in what asks after its health, and what its image was built with.
		"env.value", "containers.command", "containers.args", "httpHeaders.value",
		"environmentVariables", `run\.googleapis\.com/build-environment-variables`,
	}
}

// projectKind is the kind of a project.
const projectKind = "gcp.cloudresourcemanager.project"

// resourceTypes lists the types of asset that are read, in order of kind. To read
// another, add its line, a recorded asset and a check. Most types hold what is
// regional too; only a few have a type of their own for it, and one that the
// inventory does not have would be an INVALID_ARGUMENT for the whole listing.
func resourceTypes() []assetKind {
	return []assetKind{
		{"alloydb.googleapis.com/Cluster", "gcp.alloydb.cluster"},
		{"apikeys.googleapis.com/Key", "gcp.apikeys.key"},
		{"artifactregistry.googleapis.com/Repository", "gcp.artifactregistry.repository"},
		{"backupdr.googleapis.com/BackupPlanAssociation", "gcp.backupdr.backup_plan_association"},
		{"backupdr.googleapis.com/BackupVault", "gcp.backupdr.backup_vault"},
		{"bigquery.googleapis.com/Dataset", "gcp.bigquery.dataset"},
		{"bigtableadmin.googleapis.com/Cluster", "gcp.bigtableadmin.cluster"},
		{"bigtableadmin.googleapis.com/Table", "gcp.bigtableadmin.table"},
		{"certificatemanager.googleapis.com/Certificate", "gcp.certificatemanager.certificate"},
		{"cloudkms.googleapis.com/CryptoKey", "gcp.cloudkms.crypto_key"},
		{"cloudkms.googleapis.com/CryptoKeyVersion", "gcp.cloudkms.crypto_key_version"},
		{"cloudkms.googleapis.com/KeyRing", "gcp.cloudkms.key_ring"},
		{"cloudresourcemanager.googleapis.com/Folder", "gcp.cloudresourcemanager.folder"},
		{"cloudresourcemanager.googleapis.com/Organization", "gcp.cloudresourcemanager.organization"},
		{"cloudresourcemanager.googleapis.com/Project", projectKind},
		{"compute.googleapis.com/BackendService", "gcp.compute.backend_service"},
		{"compute.googleapis.com/RegionBackendService", "gcp.compute.backend_service"},
		{"compute.googleapis.com/Disk", "gcp.compute.disk"},
		{"compute.googleapis.com/RegionDisk", "gcp.compute.disk"},
		{"compute.googleapis.com/Firewall", "gcp.compute.firewall"},
		{"compute.googleapis.com/FirewallPolicy", "gcp.compute.firewall_policy"},
		{"compute.googleapis.com/Image", "gcp.compute.image"},
		{"compute.googleapis.com/Instance", "gcp.compute.instance"},
		{"compute.googleapis.com/InstanceGroupManager", "gcp.compute.instance_group_manager"},
		{"compute.googleapis.com/Network", "gcp.compute.network"},
		{"compute.googleapis.com/ResourcePolicy", "gcp.compute.resource_policy"},
		{"compute.googleapis.com/Snapshot", "gcp.compute.snapshot"},
		{"compute.googleapis.com/SslCertificate", "gcp.compute.ssl_certificate"},
		{"compute.googleapis.com/SslPolicy", "gcp.compute.ssl_policy"},
		{"compute.googleapis.com/Subnetwork", "gcp.compute.subnetwork"},
		{"compute.googleapis.com/TargetHttpProxy", "gcp.compute.target_http_proxy"},
		{"compute.googleapis.com/TargetHttpsProxy", "gcp.compute.target_https_proxy"},
		{"compute.googleapis.com/UrlMap", "gcp.compute.url_map"},
		{"container.googleapis.com/Cluster", "gcp.container.cluster"},
		{"dns.googleapis.com/Policy", "gcp.dns.policy"},
		{"essentialcontacts.googleapis.com/Contact", "gcp.essentialcontacts.contact"},
		{"file.googleapis.com/Instance", "gcp.file.instance"},
		{"firestore.googleapis.com/Backup", "gcp.firestore.backup"},
		{"firestore.googleapis.com/Database", "gcp.firestore.database"},
		{"gkebackup.googleapis.com/BackupPlan", "gcp.gkebackup.backup_plan"},
		{"iam.googleapis.com/WorkloadIdentityPool", "gcp.iam.workload_identity_pool"},
		{"iam.googleapis.com/WorkloadIdentityPoolProvider", "gcp.iam.workload_identity_pool_provider"},
		{"logging.googleapis.com/LogBucket", "gcp.logging.bucket"},
		{"logging.googleapis.com/LogMetric", "gcp.logging.metric"},
		{"logging.googleapis.com/LogSink", "gcp.logging.sink"},
		{"monitoring.googleapis.com/AlertPolicy", "gcp.monitoring.alert_policy"},
		{"monitoring.googleapis.com/NotificationChannel", "gcp.monitoring.notification_channel"},
		{"pubsub.googleapis.com/Topic", "gcp.pubsub.topic"},
		{"redis.googleapis.com/Instance", "gcp.redis.instance"},
		{"run.googleapis.com/Service", "gcp.run.service"},
		{"secretmanager.googleapis.com/Secret", "gcp.secretmanager.secret"},
		{"secretmanager.googleapis.com/SecretVersion", "gcp.secretmanager.secret_version"},
		{"serviceusage.googleapis.com/Service", "gcp.serviceusage.service"},
		{"spanner.googleapis.com/Backup", "gcp.spanner.backup"},
		{"spanner.googleapis.com/Database", "gcp.spanner.database"},
		{"sqladmin.googleapis.com/Instance", "gcp.sqladmin.instance"},
		{"storage.googleapis.com/Bucket", "gcp.storage.bucket"},
	}
}

func readResources(ctx context.Context, t *task) error {
	r := &resources{task: t, moved: moves{}, refused: map[string]bool{}}
	if err := r.list(ctx, resourceTypes()); err != nil {
		return err
	}
	for _, kind := range t.spec.Kinds {
		if !r.refused[kind] {
			t.emit.Listed(kind, "")
		}
	}
	r.moved.tell(t)
	return nil
}

// resources is the listing of resources under way.
type resources struct {
	*task
	moved   moves
	refused map[string]bool // kinds of which the inventory does not take a type
}

// list lists resources of some types. Where the inventory does not take one of
// them, it refuses the whole request and need not say which: the types are then
// asked for in halves, so that what it does not take costs its own kind and no
// other.
func (r *resources) list(ctx context.Context, types []assetKind) error {
	kinds := map[string]string{}
	var names []string
	for _, a := range types {
		kinds[a.asset] = a.kind
		names = append(names, a.asset)
	}
	begun := false
	err := r.assets(ctx, "RESOURCE", names, func(asset map[string]any, page answer) error {
		begun = true
		kind, asked := kinds[text(asset, "assetType")]
		if !asked {
			return malformed(listAssets, "%s is of the type %s, which was not asked for", text(asset, "name"), text(asset, "assetType"))
		}
		r.moved.see(asset)
		return r.observeAsset(ctx, kind, asset, page)
	})
	if api, ok := errors.AsType[*googleapi.Error](err); !ok || begun || parseFailure(api.Code, []byte(api.Body)).status != "INVALID_ARGUMENT" {
		return err
	}
	if half := len(types) / 2; half > 0 {
		if err := r.list(ctx, types[:half]); err != nil {
			return err
		}
		return r.list(ctx, types[half:])
	}
	r.refused[types[0].kind] = true
	return r.listFailed(ctx, &ofError{types[0].asset, err}, types[0].kind)
}

// moves holds the ancestry of each project as its assets state it. A project that
// is moved while its organisation is listed shows two of them: then it is not
// known under what it stands, and what it inherits can not be judged.
type moves map[string][]string

func (m moves) see(asset map[string]any) {
	number, ancestry := project(asset)
	if number == "" || slices.Contains(m[number], ancestry) {
		return
	}
	m[number] = append(m[number], ancestry)
}

// tell leaves a gap for the ancestry of each project that moved.
func (m moves) tell(t *task) {
	for number, seen := range m {
		if len(seen) < 2 {
			continue
		}
		t.emit.Gap(evidence.Gap{
			Kind: projectKind, Resource: "//cloudresourcemanager.googleapis.com/" + number, Field: "ancestors",
			Operation: listAssets, Permission: "cloudasset.assets.listResource", Class: evidence.Unavailable,
			Message: fmt.Sprintf("the project was moved during the listing: its assets name the ancestors %q and %q", seen[0], seen[1]),
		})
	}
}
