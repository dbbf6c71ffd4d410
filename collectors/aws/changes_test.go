package aws_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/tallystick/tallystick/collectors/aws/recordings"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

// TestChanges puts the answers of recordings/changes in the place of an
// account's own: one makes a passing bucket fail, the other hides one.
func TestChanges(t *testing.T) {
	tests := []struct {
		change, account, bucket, region string
		check                           string // passes before
		seen                            string // in the body afterwards
		gap                             string // as a person reads it; empty for none
	}{
		{"versioning-suspended", "111122223333", "example-app-data", "eu-west-1", "aws-s3-versioning", `"Versioning":{"Status":"Suspended"}`, ""},
		{
			"encryption-denied", "444455556666", "example-member-data", "eu-west-1", "aws-s3-encryption-default", `"Versioning":{"Status":"Enabled"}`,
			"s3:GetBucketEncryption denied (AccessDenied), needs s3:GetEncryptionConfiguration, which a resource-based policy refuses",
		},
	}
	e := estate(t)
	for _, tt := range tests {
		t.Run(tt.change, func(t *testing.T) {
			f, err := recordings.FS().Open("changes/" + tt.change + ".har")
			if err != nil {
				t.Fatal(err)
			}
			changed, err := capture.OpenReplay(capture.ReplayOptions{RepeatLast: true}, f)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := replay(t, named(t, e, "aws.s3_buckets"), tt.account, func(req *http.Request, _ capture.Labels) (*http.Response, error) {
				resp, err := changed.RoundTrip(req)
				if none := (*capture.NoAnswerError)(nil); errors.As(err, &none) {
					return nil, nil
				}
				return resp, err
			})
			id := "arn:aws:s3:::" + tt.bucket
			var gaps []string
			for _, g := range got.gaps {
				gaps = append(gaps, g.Resource+" "+g.Field+" "+g.String())
			}
			want := ""
			if tt.gap != "" {
				want = id + " Encryption " + tt.gap
			}
			if strings.Join(gaps, "; ") != want {
				t.Errorf("gaps %q, want %q", gaps, want)
			}
			for _, o := range got.observations {
				if o.ID == id && !strings.Contains(string(o.Body), tt.seen) {
					t.Errorf("the bucket is %s, want %s", o.Body, tt.seen)
				}
			}
			passes := verdict{tt.check, tt.region, id, string(evidence.Pass)}
			found := false
			for _, v := range planted(t, tt.account) {
				found = found || v == passes
			}
			if !found {
				t.Errorf("before the change, %v is not expected: the change shows no drift", passes)
			}
		})
	}
}
