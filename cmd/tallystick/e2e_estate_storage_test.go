package main_test

import (
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func buckets() []planted {
	const (
		encrypted, versions  = "aws-s3-encryption-default", "aws-s3-versioning"
		blocked, public, tls = "aws-s3-account-public-block", "aws-s3-bucket-public", "aws-s3-ssl-only"
		logged, data, expiry = "aws-s3-access-logging", "aws-cloudtrail-data-events", "aws-s3-lifecycle"

		on, suspended = s3types.BucketVersioningStatusEnabled, s3types.BucketVersioningStatusSuspended
		aes, withKey  = s3types.ServerSideEncryptionAes256, s3types.ServerSideEncryptionAwsKms
	)
	// moto gives a fresh bucket no default encryption, as S3 did until 2023, and
	// blocks no public access to it. When asked whether its policy is public, moto
	// lists the objects, so that only a block or a public grant decides.
	bare := says{
		encrypted: "fail", versions: "fail", public: "unknown", tls: "fail", logged: "fail", data: "not_applicable",
		expiry: "unknown", // no tag says for how long objects are kept
	}
	plain := bare.and(says{encrypted: "pass provider_default"})
	versioned := plain.and(says{versions: "pass"})
	restricted := says{public: "pass"}
	return []planted{
		{"account that blocks some", here, accountBlock(true, false, true, false), says{blocked: "fail"}},
		{"account that blocks all", there, accountBlock(true, true, true, true), says{blocked: "pass"}},

		{"bare bucket", hereUS, bucket("e2e-bare"), bare.and(says{logged: "not_applicable"})}, // it takes the logs of the next
		{
			"bucket with everything", hereUS, bucket("e2e-full", versioning(on), encryption(withKey, "rotated key"), bucketPolicy(onlyTLS), noPublicAccess,
				accessLogsTo("e2e-bare"), expireAfter(370, 30), bucketTags("data", "customer", "retention-days", "400")),
			says{encrypted: "pass", versions: "pass", public: "pass", tls: "pass", logged: "pass", data: "not_applicable", expiry: "pass"},
		},
		{"suspended bucket", hereEU, bucket("e2e-suspended", versioning(on), versioning(suspended)), bare},
		{"locked bucket", hereUS, bucket("e2e-locked", encryption(aes, ""), objectLock), versioned.and(says{logged: "pass compensating", data: "pass"})},
		{"european bucket", hereEU, bucket("e2e-europe", versioning(on), encryption(aes, "")), versioned.and(says{data: "fail"})},
		{"bucket of the trail", hereUS, bucket("e2e-trail", versioning(on), encryption(aes, ""), noPublicAccess, bucketPolicy(cloudtrailPuts)), versioned.and(restricted)},
		{"short-lived bucket of a trail", thereUS, bucket("e2e-trail-short", versioning(on), noPublicAccess, expireAfter(30, 0)), bare.and(restricted).and(says{versions: "pass"})},

		{"public bucket", hereUS, bucket("e2e-public", encryption(aes, ""), bucketPolicy(everybodyReads)), plain},
		{"public bucket that is restricted", hereUS, bucket("e2e-restricted", encryption(aes, ""), bucketPolicy(everybodyReads), noPublicAccess), plain.and(restricted)},
		{"bucket with a public grant", hereEU, bucket("e2e-granted", encryption(aes, ""), grant("public-read")), plain.and(says{public: "fail"})},
		{"bucket that ignores a public grant", hereEU, bucket("e2e-ignoring", encryption(aes, ""), grant("public-read"), noPublicAccess), plain.and(restricted)},
		{"public bucket in the account that blocks all", thereEU, bucket("e2e-elsewhere", encryption(aes, ""), bucketPolicy(everybodyReads)), plain.and(restricted)},

		{"bucket whose objects need TLS", hereUS, bucket("e2e-half-tls", encryption(aes, ""), bucketPolicy(objectsOnlyTLS)), plain},
		{"bucket that keeps too long", hereUS, bucket("e2e-long", encryption(aes, ""), expireAfter(400, 0), bucketTags("retention-days", "90")), plain.and(says{expiry: "fail"})},
		{"bucket that keeps old versions", hereUS, bucket("e2e-old", encryption(aes, ""), versioning(on), expireAfter(90, 0), bucketTags("retention-days", "90")), versioned.and(says{expiry: "fail"})},
		{"bucket that keeps for ever", hereEU, bucket("e2e-ever", encryption(aes, ""), bucketTags("retention-days", "unlimited")), plain.and(says{expiry: "not_applicable"})},
	}
}

func disks() []planted {
	const (
		byDefault, volumes = "aws-ebs-encryption-default", "aws-ebs-volume-encrypted"
		snapshots, public  = "aws-ebs-snapshot-encrypted", "aws-snapshot-public"
		recent, backed     = "aws-ebs-recent-snapshot", "aws-backup-coverage"
	)
	// What was made just now needs no backup yet.
	good := says{volumes: "pass", recent: "not_applicable", backed: "not_applicable"}
	bad := good.and(says{volumes: "fail"})
	// moto does not look at who may restore, so that it answers every snapshot
	// among those that everyone may, and does not tell what the region blocks.
	secret := says{snapshots: "pass", public: "unknown"}
	open := secret.and(says{snapshots: "fail"})
	return []planted{
		{"encryption by default", hereUS, ebsDefault(true), says{byDefault: "pass"}},
		{"no encryption by default", hereEU, ebsDefault(false), says{byDefault: "fail"}},
		{"untouched default", thereUS, ebsDefault(false), says{byDefault: "fail"}},
		{"other default", thereEU, ebsDefault(true), says{byDefault: "pass"}},
		{"encrypted volume", hereEU, volume("european key"), good},
		{"plain volume", hereEU, volume(""), bad},
		{"other plain volume", thereUS, volume(""), bad},
		{"encrypted snapshot", hereEU, snapshotOf("encrypted volume"), secret},
		{"plain snapshot", hereEU, snapshotOf("plain volume"), open},
		{"other plain snapshot", thereUS, snapshotOf("other plain volume"), open},
		{"that snapshot for everyone", thereUS, shared("other plain snapshot"), nil},

		// moto does not encrypt what it makes of itself, whatever the default is.
		{"root volume", hereUS, rootVolumeOf("instance with tokens"), bad},
		{"other root volume", hereUS, rootVolumeOf("instance without tokens"), bad},
		{"third root volume", hereUS, rootVolumeOf("instance without metadata"), bad},
		{"root volume of the other instance", thereEU, rootVolumeOf("other instance"), bad},
		{"snapshot behind the image", hereUS, snapshotBehind("image"), open},
		{"snapshot behind the public image", thereEU, snapshotBehind("public image"), open},
	}
}

func images() []planted {
	const public, tokens = "aws-snapshot-public", "aws-ec2-imdsv2"
	return []planted{
		{"image", hereUS, image("private", false), says{public: "pass"}},
		{"public image", thereEU, image("public", true), says{public: "fail"}},
		{"instance with tokens", hereUS, instance("image", "its subnet", metadata("required", "enabled")), says{tokens: "pass"}},
		{"instance without tokens", hereUS, instance("image", "its subnet", metadata("optional", "enabled")), says{tokens: "fail"}},
		{"instance without metadata", hereUS, instance("image", "its subnet", metadata("optional", "disabled")), says{tokens: "pass"}},
		{"other instance", thereEU, instance("public image", "subnet of it", metadata("optional", "enabled")), says{tokens: "fail"}},
		{"terminated instance", hereUS, instance("image", "its subnet", metadata("optional", "enabled"), terminate), says{tokens: "not_applicable"}},
	}
}

func fileSystems() []planted {
	const encrypted, backed = "aws-efs-encrypted", "aws-backup-coverage"
	return []planted{
		{"encrypted file system", hereUS, fileSystem("secret", "rotated key"), says{encrypted: "pass", backed: "not_applicable"}},
		{"plain file system", hereEU, fileSystem("plain", ""), says{encrypted: "fail", backed: "not_applicable"}},
	}
}

func backups() []planted {
	const points, jobs = "aws-backup-recovery-encrypted", "aws-backup-jobs"
	return []planted{
		{"vault", hereEU, vault("nightly"), nil},
		{"plan", hereEU, plan("nightly", "nightly"), nil},
		// moto does not list what is in a vault, nor jobs.
		{"points in the vault", hereEU, nothing("*"), says{points: "unknown"}},
		{"jobs", hereUS, nothing("*"), says{jobs: "unknown"}},
		{"european jobs", hereEU, nothing("*"), says{jobs: "unknown"}},
		{"other jobs", thereUS, nothing("*"), says{jobs: "unknown"}},
		{"other european jobs", thereEU, nothing("*"), says{jobs: "unknown"}},
		{"region", hereUS, nothing(hereUS.id()), says{jobs: "unknown"}},
		{"european region", hereEU, nothing(hereEU.id()), says{jobs: "unknown"}},
		{"other region", thereUS, nothing(thereUS.id()), says{jobs: "unknown"}},
		{"other european region", thereEU, nothing(thereEU.id()), says{jobs: "unknown"}},
	}
}
