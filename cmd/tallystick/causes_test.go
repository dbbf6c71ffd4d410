package main

import (
	"testing"

	"github.com/tallystick/tallystick/evidence"
)

func TestCauses(t *testing.T) {
	denied := evidence.GapCount{Class: evidence.Denied, Operation: "s3:GetBucketTagging", Permission: "s3:GetBucketTagging", Code: "AccessDenied", Count: 2}
	cut := evidence.GapCount{Class: evidence.Unavailable, Operation: "sts:GetCallerIdentity", Permission: "sts:GetCallerIdentity", Count: 1}
	slow := evidence.GapCount{Class: evidence.Throttled, Operation: "s3:GetBucketTagging", Permission: "s3:GetBucketTagging", Code: "SlowDown", Count: 1}
	causes := []cause{{GapCount: denied}, {GapCount: cut}, {GapCount: slow}}
	if err := addMessages(causes, []byte(`{"kind":"k","resource":"a","operation":"s3:GetBucketTagging","permission":"s3:GetBucketTagging","class":"denied","code":"AccessDenied","message":"the first"}
{"kind":"k","resource":"b","operation":"s3:GetBucketTagging","permission":"s3:GetBucketTagging","class":"denied","code":"AccessDenied","message":"the second"}
{"kind":"k","operation":"sts:GetCallerIdentity","permission":"sts:GetCallerIdentity","class":"unavailable","message":"connection\nrefused"}
`)); err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct{ message, line string }{
		{"the first", "s3:GetBucketTagging denied (AccessDenied), needs s3:GetBucketTagging"},
		{"connection refused", "sts:GetCallerIdentity unavailable: connection refused"},
		{"", "s3:GetBucketTagging throttled (SlowDown)"},
	} {
		if causes[i].Message != want.message || causes[i].String() != want.line {
			t.Errorf("got %q and %q, want %q and %q", causes[i].Message, causes[i], want.message, want.line)
		}
	}
	if err := addMessages(causes, []byte("{")); err == nil {
		t.Error("a payload that is cut off is taken for a whole one")
	}
}
