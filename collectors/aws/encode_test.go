package aws

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/identitystore"
	identitytypes "github.com/aws/aws-sdk-go-v2/service/identitystore/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// TestEncode compares what is kept of an answer with what was sent: the SDK's
// structs hold false both for "false" and for "not sent".
func TestEncode(t *testing.T) {
	policy := func(inner string) string {
		return `<GetAccountPasswordPolicyResponse xmlns="x"><GetAccountPasswordPolicyResult><PasswordPolicy>` + inner +
			`</PasswordPolicy></GetAccountPasswordPolicyResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetAccountPasswordPolicyResponse>`
	}
	at := time.Date(2026, 6, 30, 8, 17, 0, 500e6, time.FixedZone("CEST", 7200))
	tests := []struct {
		name     string
		out      any
		received string
		want     string
	}{
		{
			"false that was sent, XML", &iam.GetAccountPasswordPolicyOutput{PasswordPolicy: &iamtypes.PasswordPolicy{}},
			policy("<RequireSymbols>false</RequireSymbols>"), `{"PasswordPolicy":{"RequireSymbols":false}}`,
		},
		{
			"false that was not sent, XML", &iam.GetAccountPasswordPolicyOutput{PasswordPolicy: &iamtypes.PasswordPolicy{RequireNumbers: true}},
			policy("<RequireNumbers>true</RequireNumbers>"), `{"PasswordPolicy":{"RequireNumbers":true}}`,
		},
		{
			"false that was sent, JSON", &kms.DescribeKeyOutput{KeyMetadata: &kmstypes.KeyMetadata{KeyId: sdk.String("k")}},
			`{"KeyMetadata":{"KeyId":"k","Enabled":false}}`, `{"KeyMetadata":{"KeyId":"k","Enabled":false}}`,
		},
		{
			"false that was not sent, JSON", &kms.DescribeKeyOutput{KeyMetadata: &kmstypes.KeyMetadata{KeyId: sdk.String("k")}},
			`{"KeyMetadata":{"KeyId":"k"}}`, `{"KeyMetadata":{"KeyId":"k"}}`,
		},
		{
			"an element of a list, XML", &s3.GetBucketTaggingOutput{TagSet: []s3types.Tag{{Key: sdk.String("a"), Value: sdk.String("")}}},
			`<Tagging><TagSet><Tag><Key>a</Key><Value></Value></Tag></TagSet></Tagging>`, `{"TagSet":[{"Key":"a","Value":""}]}`,
		},
		{
			"the second of two elements, JSON", &kms.ListKeysOutput{Keys: []kmstypes.KeyListEntry{{KeyId: sdk.String("a")}, {KeyId: sdk.String("b")}}},
			`{"Keys":[{"KeyId":"a"},{"KeyId":"b"}],"Truncated":false}`, `{"Keys":[{"KeyId":"a"},{"KeyId":"b"}],"Truncated":false}`,
		},
		{"an answer that is one empty element", &s3.GetBucketVersioningOutput{}, `<VersioningConfiguration xmlns="x"/>`, `{}`},
		{
			"a time", &kms.GetKeyRotationStatusOutput{NextRotationDate: &at, KeyRotationEnabled: true},
			`{"KeyRotationEnabled":true}`, `{"KeyRotationEnabled":true,"NextRotationDate":"2026-06-30T06:17:00.5Z"}`,
		},
		{
			"a member of a union", &identitystore.ListGroupMembershipsOutput{GroupMemberships: []identitytypes.GroupMembership{
				{MemberId: &identitytypes.MemberIdMemberUserId{Value: "u"}}, {},
			}},
			`{"GroupMemberships":[{"MemberId":{"UserId":"u"}},{}]}`, `{"GroupMemberships":[{"MemberId":{"UserId":"u"}},{}]}`,
		},
		{
			"a boolean that was redacted", &identitystore.ListUsersOutput{Users: []identitytypes.User{
				{PhoneNumbers: []identitytypes.PhoneNumber{{Value: sdk.String("REDACTED-000000000000")}}},
			}},
			`{"Users":[{"PhoneNumbers":[{"Value":"REDACTED-000000000000","Primary":null}]}]}`, `{"Users":[{"PhoneNumbers":[{"Value":"REDACTED-000000000000"}]}]}`,
		},
		{"bytes", &iam.GetCredentialReportOutput{Content: []byte("user,arn")}, `<a/>`, `{"Content":"dXNlcixhcm4="}`},
		{"a document that is not one", &kms.GetKeyRotationStatusOutput{}, `{"KeyRotationEnabled":fal`, `{}`},
		{"no document", &kms.GetKeyRotationStatusOutput{}, ``, `{}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := encode(reflect.ValueOf(tt.out), parse([]byte(tt.received)))
			var want any
			if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
				t.Fatal(err)
			}
			b, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			var again any
			if err := json.Unmarshal(b, &again); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(again, want) {
				t.Errorf("got %s, want %s", b, tt.want)
			}
		})
	}
}

// TestParseVouches looks up places of documents by the SDK's names for them.
func TestParseVouches(t *testing.T) {
	tests := []struct {
		name, received string
		path           []string
		there          bool
	}{
		{"JSON in another letter case", `{"trailList":[]}`, []string{"TrailList"}, true},
		{"a child of the root", `<DescribeRegionsResponse><requestId/></DescribeRegionsResponse>`, []string{"RequestId"}, true},
		{"a child of the result", `<XResponse><XResult><IsTruncated>false</IsTruncated></XResult></XResponse>`, []string{"IsTruncated"}, true},
		{"the root by its name", `<PolicyStatus><IsPublic>FALSE</IsPublic></PolicyStatus>`, []string{"PolicyStatus", "IsPublic"}, true},
		{"not there", `<PolicyStatus></PolicyStatus>`, []string{"PolicyStatus", "IsPublic"}, false},
		{"null, which says nothing", `{"Enabled":null}`, []string{"Enabled"}, false},
		{"under a place that is not there", `{}`, []string{"A", "B", "C"}, false},
		{"XML that breaks off", `<A><B>`, []string{"B"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := parse([]byte(tt.received))
			for _, name := range tt.path {
				n = n.field(name)
			}
			if (n != nil) != tt.there {
				t.Errorf("%v is there: %v, want %v", tt.path, n != nil, tt.there)
			}
		})
	}
}

// FuzzParse looks for a received document that can not be walked.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{"a":[{"b":1}]}`, `<a><b>1</b><b/></a>`, `</a>`, `<XResult>`, `[[`, ``, `<?xml version="1.0"?>`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(_ *testing.T, received []byte) {
		n := parse(received)
		encode(reflect.ValueOf(&s3.GetBucketEncryptionOutput{ServerSideEncryptionConfiguration: &s3types.ServerSideEncryptionConfiguration{
			Rules: make([]s3types.ServerSideEncryptionRule, 3),
		}}), n)
	})
}
