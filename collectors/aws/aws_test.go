package aws

import "testing"

// TestHomeRegion finds the region of a partition's global services.
func TestHomeRegion(t *testing.T) {
	role := func(arn string) []Account { return []Account{{ID: "111122223333", Role: arn}} }
	tests := []struct {
		name        string
		settings    Settings
		environment string
		want        string
	}{
		{"nothing is said", Settings{}, "", "us-east-1"},
		{"the environment's region", Settings{}, "us-gov-east-1", "us-gov-west-1"},
		{"the environment's commercial region", Settings{}, "eu-west-1", "us-east-1"},
		{"a role says more than the environment", Settings{Accounts: role("arn:aws-cn:iam::111122223333:role/Reader")}, "us-gov-east-1", "cn-north-1"},
		{"a role that is assumed first", Settings{Through: Account{Role: "arn:aws-us-gov:iam::111122223333:role/Hub"}}, "", "us-gov-west-1"},
		{"commercial regions", Settings{Regions: []string{"eu-west-1"}}, "", "us-east-1"},
		{"a commercial role", Settings{Accounts: role("arn:aws:iam::111122223333:role/Reader")}, "", "us-east-1"},
		{"a GovCloud region", Settings{Regions: []string{"us-gov-east-1"}}, "", "us-gov-west-1"},
		{"a GovCloud role", Settings{Accounts: role("arn:aws-us-gov:iam::111122223333:role/Reader")}, "", "us-gov-west-1"},
		{"a region in China", Settings{Regions: []string{"cn-northwest-1"}}, "", "cn-north-1"},
		{"a role in China", Settings{Accounts: role("arn:aws-cn:iam::111122223333:role/Reader")}, "", "cn-north-1"},
		{"not a role's ARN", Settings{Accounts: role("Reader")}, "", "us-east-1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := homeRegion(tt.settings, tt.environment); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestPartition reads the partition of a caller.
func TestPartition(t *testing.T) {
	for arn, want := range map[string]string{
		"arn:aws:sts::111122223333:assumed-role/Reader/tallystick":        "aws",
		"arn:aws-us-gov:sts::111122223333:assumed-role/Reader/tallystick": "aws-us-gov",
		"arn:aws-cn:iam::111122223333:user/path/with:colon":               "aws-cn",
		"":        "aws",
		"arn:aws": "aws",
	} {
		if got := partitionOf(arn); got != want {
			t.Errorf("%q: got %s, want %s", arn, got, want)
		}
	}
}
