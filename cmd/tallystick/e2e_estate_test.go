package main_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// The places of the estate. The member account is entered by a role.
var (
	here      = place{ambient, ""}
	hereUS    = place{ambient, "us-east-1"}
	hereEU    = place{ambient, "eu-west-1"}
	there     = place{member, ""}
	thereUS   = place{member, "us-east-1"}
	thereEU   = place{member, "eu-west-1"}
	allPlaces = []place{here, hereUS, hereEU, there, thereUS, thereEU}
)

// planted is a fact of the estate and what follows from it.
type planted struct {
	name string
	at   place
	make maker

	// says is the verdict that each check must reach on it, followed by the
	// basis where that is not customer_config. No other check may speak of it.
	says says
}

type says map[string]string

// and gives what is said of every thing of a sort, with what is said of one of
// them beside that or instead.
func (s says) and(more says) says {
	all := maps.Clone(s)
	maps.Copy(all, more)
	return all
}

// estate is what the program has to find out. What moto can not express, and
// where it answers otherwise than AWS does, is in the comments that begin with
// "moto".
func estate() []planted {
	return slices.Concat(
		accounts(), people(), roles(), keys(), buckets(), databases(), databaseSnapshots(), trails(),
		networks(), groups(), images(), disks(), balancers(), fileSystems(), detection(), backups(),
	)
}

func keys() []planted {
	const rotation, doomed = "aws-kms-rotation", "aws-kms-pending-deletion"
	const symmetric = kmstypes.KeySpecSymmetricDefault
	// moto takes no rotation period and answers none.
	return []planted{
		{"rotated key", hereUS, kmsKey(symmetric, rotate), says{rotation: "pass", doomed: "pass"}},
		{"key without rotation", hereUS, kmsKey(symmetric), says{rotation: "fail", doomed: "pass"}},
		{"signing key", hereUS, kmsKey(kmstypes.KeySpecRsa2048), says{rotation: "not_applicable", doomed: "pass"}},
		{"disabled key", hereUS, kmsKey(symmetric, disableKey), says{rotation: "not_applicable", doomed: "pass"}},
		{"doomed key", hereEU, kmsKey(symmetric, rotate, deleteKey), says{rotation: "not_applicable", doomed: "fail"}},
		{"european key", hereEU, kmsKey(symmetric, rotate), says{rotation: "pass", doomed: "pass"}},
	}
}

func trails() []planted {
	const (
		everywhere, delivering = "aws-cloudtrail-multiregion", "aws-cloudtrail-delivering"
		validation, bucket     = "aws-cloudtrail-validation", "aws-cloudtrail-bucket"
		encrypted, retention   = "aws-cloudtrail-kms", "aws-logs-retention"
	)
	return []planted{
		{"account with a trail of all regions", here, nothing(ambient), says{everywhere: "pass"}},
		{"account without one", there, nothing(member), says{everywhere: "fail"}},
		// moto never states when a digest was delivered, so that validation can
		// be refuted but not confirmed.
		{
			"trail of all regions", hereUS, trail("everything", "e2e-trail", "rotated key", true, true, events("locked bucket", "table with a key"), startLogging),
			says{delivering: "pass", validation: "unknown", bucket: "pass", encrypted: "pass"},
		},
		{
			"stopped trail", thereUS, trail("stopped", "e2e-trail-short", "", false, false, events(), startLogging, stopLogging),
			says{delivering: "fail", validation: "fail", bucket: "fail", encrypted: "fail"},
		},

		{"log group that never expires", hereUS, logGroup("/e2e/forever", 0), says{retention: "pass provider_default"}},
		{"log group of a year", hereUS, logGroup("/e2e/year", 365), says{retention: "pass"}},
		{"log group of a month", hereEU, logGroup("/e2e/month", 30), says{retention: "fail"}},
		{"other log group of a week", thereEU, logGroup("/e2e/week", 7), says{retention: "fail"}},
	}
}

// nothing stands for what is there without being planted.
func nothing(id string) maker {
	return func(context.Context, cloud) (string, error) { return id, nil }
}

func defaultVPC(ctx context.Context, c cloud) (string, error) {
	out, err := ec2.NewFromConfig(c.config).DescribeVpcs(ctx, &ec2.DescribeVpcsInput{})
	if err != nil {
		return "", err
	}
	for _, v := range out.Vpcs {
		if aws.ToBool(v.IsDefault) {
			return c.ec2ARN("vpc", *v.VpcId), nil
		}
	}
	return "", fmt.Errorf("moto made no default VPC in %s", c.region)
}

// strangers adds the snapshots of others to what is wanted, as moto itself tells
// of them. moto does not look at the owner and at who may restore when snapshots
// are asked for: it answers all it has, those behind its public images too, to
// the question for those of the account and to that for the public ones of them.
// Where they are another's, the one check does not apply. The other, which takes
// the answer for one of the account's snapshots, as AWS promises, finds them
// shared and can not see the block of the region, which moto does not tell.
func strangers(t *testing.T, at map[place]cloud, want map[subject]string) {
	t.Helper()
	for _, p := range []place{hereUS, hereEU, thereUS, thereEU} {
		out, err := ec2.NewFromConfig(at[p].config).DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{})
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, s := range out.Snapshots {
			if *s.OwnerId == p.account {
				continue
			}
			found = true
			id := at[p].plainARN("snapshot", *s.SnapshotId)
			want[subject{p.account, p.region, "aws-ebs-snapshot-encrypted", id}] = "not_applicable"
			want[subject{p.account, p.region, "aws-snapshot-public", id}] = "unknown"
		}
		if !found {
			t.Errorf("moto has no snapshots of others in %v any more: look at what this test says of them", p)
		}
	}
}
