package aws

import "testing"

// The forms are those of the IAM user guide, "Access denied error messages".
func TestRefusedBy(t *testing.T) {
	const who = "User: arn:aws:sts::444455556666:assumed-role/TallystickReader/tallystick is not authorized to perform: "
	tests := []struct{ message, want string }{
		{who + "ec2:DescribeVpcs because no service control policy allows the ec2:DescribeVpcs action", "service control policy"},
		{who + "ec2:DescribeVolumes with an explicit deny in a service control policy", "service control policy"},
		{who + "ec2:DescribeVpcs with an explicit deny in a service control policy: arn:aws:organizations::111122223333:policy/o-exampleorg1/service_control_policy/p-regions1", "service control policy"},
		{"You are not authorized to perform this operation. " + who + "ec2:DescribeVpcs with an explicit deny in a service control policy. Encoded authorization failure message: abc", "service control policy"},
		{who + "s3:ListAllMyBuckets because no resource control policy allows the s3:ListAllMyBuckets action", "resource control policy"},
		{who + "kms:DescribeKey because no VPC endpoint policy allows the kms:DescribeKey action", "vpc endpoint policy"},
		{who + "kms:DescribeKey on resource: arn:aws:kms:eu-west-1:444455556666:key/1 with an explicit deny in a VPC endpoint policy", "vpc endpoint policy"},
		{who + "kms:DescribeKey because no permissions boundary allows the kms:DescribeKey action", "permissions boundary"},
		{who + "sso:ListInstances with an explicit deny in a permissions boundary", "permissions boundary"},
		{who + "ec2:DescribeVolumes because no session policy allows the ec2:DescribeVolumes action", "session policy"},
		{who + "s3:GetBucketPolicy with an explicit deny in a resource-based policy", "resource-based policy"},
		{who + "ec2:DescribeVpcs with an explicit deny in an identity-based policy", "identity-based policy"},
		// The permission is missing, and nothing refuses.
		{who + "ec2:DescribeVpcs because no identity-based policy allows the ec2:DescribeVpcs action", ""},
		{"Access Denied", ""},
		{"", ""},
		{"with an explicit deny in a dream", ""},
	}
	for _, tt := range tests {
		if got := refusedBy(tt.message); got != tt.want {
			t.Errorf("refusedBy(%q) is %q, want %q", tt.message, got, tt.want)
		}
	}
}
