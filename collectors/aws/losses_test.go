package aws_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/collectors/aws"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

// loss is one answer of a recording that is replaced by another.
type loss struct {
	operation, region string
	nth               int // which call of the operation in the region, from 1
	status            int
	contentType, body string
}

func (l loss) intercept() intercept {
	var calls atomic.Int32
	return func(req *http.Request, got capture.Labels) (*http.Response, error) {
		if got.Operation != l.operation || got.Region != l.region || int(calls.Add(1)) != l.nth {
			return nil, nil
		}
		return capture.Respond(req, l.status, l.contentType, l.body), nil
	}
}

func jsonError(code string) string { return fmt.Sprintf(`{"__type":%q,"message":"made up"}`, code) }

func ec2Error(code string) string {
	return fmt.Sprintf(`<Response><Errors><Error><Code>%s</Code><Message>made up</Message></Error></Errors><RequestID>1</RequestID></Response>`, code)
}

func rdsError(code string) string {
	return fmt.Sprintf(`<ErrorResponse><Error><Code>%s</Code><Message>made up</Message></Error><RequestId>1</RequestId></ErrorResponse>`, code)
}

// TestLosses loses single answers of the recordings of 111122223333: what was
// not read is a gap that says what it covers, and the rest is still read.
func TestLosses(t *testing.T) {
	const (
		eu, us = "eu-west-1", "us-east-1"
		json10 = "application/x-amz-json-1.0"
		plain  = "application/json"
		xml    = "text/xml"
	)
	orders := "arn:aws:dynamodb:eu-west-1:111122223333:table/orders"
	old := "arn:aws:elasticloadbalancing:us-east-1:111122223333:listener/app/old/0a11000000000a01/0a1100000000a101"
	tests := []struct {
		name, collector string
		loss            loss
		gaps            []string // kind region resource field class operation
		unlisted        []string // kind@region
		observed        int      // over both regions; the whole recording has more where a page is lost
		vanished        []string
	}{
		{
			name: "second page throttled", collector: "aws.ec2_volumes",
			loss:     loss{"ec2:DescribeVolumes", eu, 2, 503, xml, ec2Error("RequestLimitExceeded")},
			gaps:     []string{"aws.ec2.volume eu-west-1   throttled ec2:DescribeVolumes"},
			unlisted: []string{"aws.ec2.volume@eu-west-1"}, observed: 4,
		},
		{
			name: "second page denied", collector: "aws.rds_instances",
			loss:     loss{"rds:DescribeDBInstances", eu, 2, 403, xml, rdsError("AccessDenied")},
			gaps:     []string{"aws.rds.instance eu-west-1   denied rds:DescribeDBInstances"},
			unlisted: []string{"aws.rds.instance@eu-west-1"}, observed: 6,
		},
		{
			name: "a member without an id", collector: "aws.ec2_volumes",
			loss:     loss{"ec2:DescribeVolumes", us, 1, 200, xml, `<DescribeVolumesResponse><volumeSet><item><size>8</size></item></volumeSet></DescribeVolumesResponse>`},
			gaps:     []string{"aws.ec2.volume us-east-1   malformed ec2:DescribeVolumes"},
			unlisted: []string{"aws.ec2.volume@us-east-1"}, observed: 3,
		},
		{
			name: "not the awaited document", collector: "aws.logs_log_groups",
			loss:     loss{"logs:DescribeLogGroups", us, 1, 200, "application/x-amz-json-1.1", `<html>proxy</html>`},
			gaps:     []string{"aws.logs.log_group us-east-1   malformed logs:DescribeLogGroups"},
			unlisted: []string{"aws.logs.log_group@us-east-1"}, observed: 4,
		},
		{
			name: "the listeners of one load balancer", collector: "aws.elb_listeners",
			loss:     loss{"elasticloadbalancing:DescribeListeners", eu, 4, 403, xml, rdsError("AccessDenied")},
			gaps:     []string{"aws.elb.listener eu-west-1   denied elasticloadbalancing:DescribeListeners"},
			unlisted: []string{"aws.elb.listener@eu-west-1"}, observed: 12 - 2,
		},
		{
			name: "a load balancer that is gone", collector: "aws.elb_listeners",
			loss:     loss{"elasticloadbalancing:DescribeListeners", eu, 4, 400, xml, rdsError("LoadBalancerNotFound")},
			observed: 12 - 2,
		},
		{
			name: "a listener that is gone", collector: "aws.elb_listeners",
			loss:     loss{"elasticloadbalancing:DescribeRules", us, 1, 400, xml, rdsError("ListenerNotFound")},
			vanished: []string{"aws.elb.listener " + old}, observed: 12 - 1,
		},
		{
			name: "a load balancer that is gone", collector: "aws.elb_load_balancers",
			loss:     loss{"elasticloadbalancing:DescribeLoadBalancerAttributes", us, 1, 400, xml, rdsError("LoadBalancerNotFound")},
			vanished: []string{"aws.elb.load_balancer arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/app/old/0a11000000000a01"}, observed: 6 + 10 - 1,
		},
		{
			name: "second page of policies", collector: "aws.elb_load_balancers",
			loss:     loss{"elasticloadbalancing:DescribeSSLPolicies", eu, 2, 403, xml, rdsError("AccessDenied")},
			gaps:     []string{"aws.elb.ssl_policy eu-west-1   denied elasticloadbalancing:DescribeSSLPolicies"},
			unlisted: []string{"aws.elb.ssl_policy@eu-west-1"}, observed: 6 + 10 - 2,
		},
		{
			name: "a certificate that is gone", collector: "aws.acm_certificates",
			loss:     loss{"acm:DescribeCertificate", us, 1, 400, "application/x-amz-json-1.1", jsonError("ResourceNotFoundException")},
			vanished: []string{"aws.acm.certificate arn:aws:acm:us-east-1:111122223333:certificate/ce200000-1111-4222-8333-0000000000a1"}, observed: 7 - 1,
		},
		{
			name: "one list of four", collector: "aws.ec2_vpcs",
			loss:     loss{"ec2:DescribeSubnets", eu, 1, 403, xml, ec2Error("UnauthorizedOperation")},
			gaps:     []string{"aws.ec2.subnet eu-west-1   denied ec2:DescribeSubnets"},
			unlisted: []string{"aws.ec2.subnet@eu-west-1"}, observed: 8 + 1 + 6 + 7,
		},
		{
			name: "a setting without a list", collector: "aws.ec2_ebs_defaults",
			loss:     loss{"ec2:GetEbsEncryptionByDefault", us, 1, 403, xml, ec2Error("UnauthorizedOperation")},
			gaps:     []string{"aws.ec2.ebs_defaults us-east-1 111122223333/us-east-1 Encryption denied ec2:GetEbsEncryptionByDefault"},
			observed: 2,
		},
		{
			name: "the sharing of snapshots", collector: "aws.ec2_ebs_defaults",
			loss:     loss{"ec2:GetSnapshotBlockPublicAccessState", eu, 1, 403, xml, ec2Error("UnauthorizedOperation")},
			gaps:     []string{"aws.ec2.ebs_defaults eu-west-1 111122223333/eu-west-1 SnapshotBlockPublicAccess denied ec2:GetSnapshotBlockPublicAccessState"},
			observed: 2,
		},
		{
			name: "an instance without an id", collector: "aws.ec2_instances",
			loss: loss{"ec2:DescribeInstances", us, 1, 200, xml, `<DescribeInstancesResponse><reservationSet><item><ownerId>111122223333</ownerId><instancesSet>` +
				`<item><imageId>ami-1</imageId></item></instancesSet></item></reservationSet></DescribeInstancesResponse>`},
			gaps:     []string{"aws.ec2.instance us-east-1   malformed ec2:DescribeInstances"},
			unlisted: []string{"aws.ec2.instance@us-east-1"}, observed: 4,
		},
		{
			name: "the snapshots of AWS Backup", collector: "aws.rds_snapshots",
			loss:     loss{"rds:DescribeDBSnapshots", eu, 1, 403, xml, rdsError("AccessDenied")},
			gaps:     []string{"aws.rds.snapshot eu-west-1   denied rds:DescribeDBSnapshots"},
			unlisted: []string{"aws.rds.snapshot@eu-west-1"}, observed: 1 + 4 + 4,
		},
		{
			name: "one list of three", collector: "aws.rds_snapshots",
			loss:     loss{"rds:DescribeDBClusterSnapshots", eu, 2, 403, xml, rdsError("AccessDenied")},
			gaps:     []string{"aws.rds.cluster_snapshot eu-west-1   denied rds:DescribeDBClusterSnapshots"},
			unlisted: []string{"aws.rds.cluster_snapshot@eu-west-1"}, observed: 7 + 3 + 4,
		},
		{
			name: "with whom one snapshot is shared", collector: "aws.rds_snapshots",
			loss:     loss{"rds:DescribeDBSnapshotAttributes", eu, 2, 403, xml, rdsError("AccessDenied")},
			gaps:     []string{"aws.rds.snapshot eu-west-1 arn:aws:rds:eu-west-1:111122223333:snapshot:legacy-2025 Attributes denied rds:DescribeDBSnapshotAttributes"},
			observed: 7 + 4 + 4,
		},
		{
			name: "a snapshot that is gone", collector: "aws.rds_snapshots",
			loss:     loss{"rds:DescribeDBSnapshotAttributes", eu, 1, 404, xml, rdsError("DBSnapshotNotFound")},
			vanished: []string{"aws.rds.snapshot arn:aws:rds:eu-west-1:111122223333:snapshot:orders-before-upgrade"}, observed: 6 + 4 + 4,
		},
		{
			name: "a cluster snapshot that is gone", collector: "aws.rds_snapshots",
			loss:     loss{"rds:DescribeDBClusterSnapshotAttributes", us, 1, 404, xml, rdsError("DBClusterSnapshotNotFoundFault")},
			vanished: []string{"aws.rds.cluster_snapshot arn:aws:rds:us-east-1:111122223333:cluster-snapshot:docs-export"}, observed: 7 + 3 + 4,
		},
		{
			name: "second page of tags", collector: "aws.dynamodb_tables",
			loss:     loss{"dynamodb:ListTagsOfResource", eu, 3, 400, json10, jsonError("AccessDeniedException")},
			gaps:     []string{"aws.dynamodb.table eu-west-1 " + orders + " Tags denied dynamodb:ListTagsOfResource"},
			observed: 5,
		},
		{
			name: "second page of names", collector: "aws.dynamodb_tables",
			loss:     loss{"dynamodb:ListTables", eu, 2, 400, json10, jsonError("ThrottlingException")},
			gaps:     []string{"aws.dynamodb.table eu-west-1   throttled dynamodb:ListTables"},
			unlisted: []string{"aws.dynamodb.table@eu-west-1"}, observed: 4,
		},
		{
			name: "a table that is gone", collector: "aws.dynamodb_tables",
			loss:     loss{"dynamodb:DescribeTable", eu, 2, 400, json10, jsonError("com.amazonaws.dynamodb.v20120810#ResourceNotFoundException")},
			vanished: []string{"aws.dynamodb.table " + orders}, observed: 4,
		},
		{
			name: "a plan's detail", collector: "aws.backup_plans",
			loss:     loss{"backup:GetBackupPlan", eu, 1, 403, plain, jsonError("AccessDeniedException")},
			gaps:     []string{"aws.backup.plan eu-west-1 arn:aws:backup:eu-west-1:111122223333:backup-plan:b0ac0000-0000-4000-8000-000000000001 Plan denied backup:GetBackupPlan"},
			observed: 2,
		},
		{
			name: "the points of one vault", collector: "aws.backup_recovery_points",
			loss:     loss{"backup:ListRecoveryPointsByBackupVault", eu, 1, 403, plain, jsonError("AccessDeniedException")},
			gaps:     []string{"aws.backup.recovery_point eu-west-1   denied backup:ListRecoveryPointsByBackupVault"},
			unlisted: []string{"aws.backup.recovery_point@eu-west-1"}, observed: 4,
		},
		{
			name: "second page of vaults", collector: "aws.backup_recovery_points",
			loss:     loss{"backup:ListBackupVaults", eu, 2, 403, plain, jsonError("AccessDeniedException")},
			gaps:     []string{"aws.backup.recovery_point eu-west-1   denied backup:ListBackupVaults"},
			unlisted: []string{"aws.backup.recovery_point@eu-west-1"}, observed: 2,
		},
		{
			name: "a vault that is gone", collector: "aws.backup_recovery_points",
			loss:     loss{"backup:ListRecoveryPointsByBackupVault", us, 1, 404, plain, jsonError("ResourceNotFoundException")},
			observed: 5,
		},
	}
	e := estateWith(t, 1)
	for _, tt := range tests {
		t.Run(tt.collector+"/"+tt.name, func(t *testing.T) {
			c := named(t, e, tt.collector)
			// One resource at a time, so that the nth call is always the same one.
			got, _ := replayWith(t, c, "111122223333", tt.loss.intercept(), 1)
			var gaps []string
			for _, g := range got.gaps {
				gaps = append(gaps, fmt.Sprintf("%s %s %s %s %s %s", g.Kind, g.Region, g.Resource, g.Field, g.Class, g.Operation))
			}
			if !slices.Equal(gaps, tt.gaps) {
				t.Errorf("gaps %q, want %q", gaps, tt.gaps)
			}
			for _, kind := range c.Spec().Kinds {
				for _, region := range regions {
					list := kind + "@" + region
					if want := !slices.Contains(tt.unlisted, list); got.listed[list] != want {
						t.Errorf("list %s read to its end: %v, want %v", list, got.listed[list], want)
					}
				}
			}
			if len(got.observations) != tt.observed {
				t.Errorf("%d resources observed, want %d", len(got.observations), tt.observed)
			}
			if !slices.Equal(got.vanished, tt.vanished) {
				t.Errorf("vanished %q, want %q", got.vanished, tt.vanished)
			}
			for _, g := range got.gaps {
				if g.Field != "" && hasField(t, got, g) {
					t.Errorf("%s has the field %s although it could not be read", g.Resource, g.Field)
				}
			}
		})
	}
}

func named(t *testing.T, e *aws.Estate, name string) collectors.Collector {
	t.Helper()
	for _, c := range aws.Catalogue(e) {
		if c.Spec().Name == name {
			return c
		}
	}
	t.Fatalf("no collector %s", name)
	return nil
}

// hasField says whether the observation that a gap is about has its field.
func hasField(t *testing.T, s *seen, g evidence.Gap) bool {
	t.Helper()
	for _, o := range s.observations {
		if o.Kind == g.Kind && o.ID == g.Resource {
			var body map[string]json.RawMessage
			if err := json.Unmarshal(o.Body, &body); err != nil {
				t.Fatal(err)
			}
			_, has := body[g.Field]
			return has
		}
	}
	t.Errorf("%s is not observed", g.Resource)
	return false
}
