package main_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tryout is an entry of preflight.
type tryout struct {
	Permission, Account, Region, Result, Class, Code, Message string
	Operations, Collectors                                    []string
}

func (b *bench) preflight(t *testing.T, code int, args ...string) []tryout {
	t.Helper()
	r := b.run(t, append([]string{"preflight", "--output", "json"}, args...)...)
	r.want(t, code)
	var out struct {
		Permissions []tryout `json:"permissions"`
	}
	r.json(t, &out)
	return out.Permissions
}

func (w world) preflight(t *testing.T) {
	t.Parallel()
	const account = "666666666666"
	c := open(t, w.moto, place{account, "us-east-1"})
	for name, make := range map[string]maker{
		"user": user("dana", password), "volume": volume(""), "bucket": bucket("e2e-preflight"), "table": dbTable("preflight", 35, ""),
	} {
		if _, err := make(t.Context(), c); err != nil {
			t.Fatalf("plant %s: %v", name, err)
		}
	}
	text := `aws:
  accounts: [{id: "` + account + `", role: "` + roleIn(account) + `"}]
  regions: [us-east-1]
`
	// Nothing is denied. What moto does not serve fails.
	b := w.bench(t, w.moto, text)
	var served, unserved []string
	for _, p := range b.preflight(t, 3) {
		switch p.Result {
		case "allowed":
			served = append(served, p.Permission)
		case "denied":
			t.Errorf("%+v", p)
		case "failed":
			unserved = append(unserved, p.Permission)
			if p.Class != "unavailable" && p.Class != "malformed" {
				t.Errorf("%+v", p)
			}
		}
	}
	for _, want := range []string{"iam:ListMFADevices", "ec2:DescribeVolumes", "s3:GetEncryptionConfiguration", "dynamodb:DescribeContinuousBackups", "backup:ListBackupPlans"} {
		if !slices.Contains(served, want) {
			t.Errorf("%s is not allowed", want)
		}
	}
	if !slices.Contains(unserved, "iam:ListOrganizationsFeatures") {
		t.Errorf("moto does not serve %v only", unserved)
	}
	if names, err := os.ReadDir(filepath.Join(b.folder, "evidence")); err == nil && len(names) > 0 {
		t.Errorf("it left %v in the data directory", names)
	}
	b.preflight(t, 0, "--collector", "aws.s3_buckets,aws.ec2_volumes,aws.dynamodb_tables")

	// Denied by a proxy, in every protocol.
	b = w.bench(t, w.refuse(t, func(req *http.Request, body string) *refusal {
		for _, d := range denials() {
			if d.matches(req, body) {
				return &d
			}
		}
		return nil
	}), text)
	var got, want []string
	for _, p := range b.preflight(t, 3) {
		if p.Result == "denied" {
			got = append(got, strings.Join(p.Operations, " "))
		}
	}
	for _, d := range denials() {
		want = append(want, d.operation)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("denied are %v, want %v", got, want)
	}
}
