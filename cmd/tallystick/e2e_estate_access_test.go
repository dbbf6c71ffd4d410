package main_test

import (
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// vendor is an account of others that roles may trust, by the parameters of the test.
const vendor = "777788889999"

func accounts() []planted {
	const inventory, contact = "aws-org-inventory", "aws-security-contact"
	const mfa = "aws-sso-mfa-evidence"
	return []planted{
		{"organisation", here, organization, nil},
		{"account of the organisation", here, organized("forgotten"), nil},
		// moto does not serve account:ListRegions. That an account is not looked
		// at decides without it; that nothing is missed can not be said.
		{"account that manages an organisation with one that nobody looks at", here, nothing(ambient), says{inventory: "fail"}},
		{"account outside of an organisation", there, nothing(member), says{inventory: "unknown"}},

		{"security contact", here, securityContact, says{contact: "pass"}},
		{"no security contact", there, nothing(member + "/SECURITY"), says{contact: "fail"}},

		// moto has an instance of IAM Identity Center in each region of each
		// account; AWS has none that nobody asked for.
		{"identity center", hereUS, identityCenter, says{mfa: "unknown"}},
		{"european identity center", hereEU, identityCenter, says{mfa: "unknown"}},
		{"other identity center", thereUS, identityCenter, says{mfa: "unknown"}},
		{"other european identity center", thereEU, identityCenter, says{mfa: "unknown"}},
		{"permission set that a group has", hereUS, assigned, nil},
	}
}

func people() []planted {
	const (
		console, idle, age   = "aws-iam-user-console-mfa", "aws-iam-unused-credentials", "aws-iam-access-key-age"
		star, admins, direct = "aws-iam-no-star-policy", "aws-iam-admin-population", "aws-iam-user-direct-policy"
		active, inactive     = iamtypes.StatusTypeActive, iamtypes.StatusTypeInactive
	)
	account := says{
		"aws-iam-root-no-keys": "pass",
		// moto has no AccountPasswordPresent and no root row in the report, so
		// that neither question can be decided.
		"aws-iam-root-mfa":       "unknown",
		"aws-iam-root-unused":    "unknown",
		"aws-iam-access-listing": "unknown", // no review is recorded
	}
	unable := says{star: "not_applicable", admins: "pass", direct: "pass"}
	unknown := says{console: "not_applicable", idle: "not_applicable", age: "not_applicable"}
	return []planted{
		{"user with password and MFA", here, user("ana", password, mfa), unable.and(says{console: "pass", idle: "pass", age: "not_applicable"})},
		{"user with password only", here, user("bob", password), unable.and(says{console: "fail", idle: "pass", age: "not_applicable"})},
		{"user with MFA and no password", here, user("cho", mfa), unable.and(unknown)},
		{"user with a key", here, user("deploy", accessKey(active)), unable.and(says{console: "not_applicable", idle: "pass", age: "pass"})},
		{"user with two keys", here, user("rotating", accessKey(inactive), accessKey(active)), unable.and(says{console: "not_applicable", idle: "pass", age: "pass"})},
		{"user with a disabled key", here, user("former", accessKey(inactive)), unable.and(unknown)},
		{"password policy", here, passwordPolicy(14, 24), says{"aws-iam-password-policy": "pass"}},
		{"account", here, nothing(ambient), account},
		{"other user with password only", there, user("bob", password), unable.and(says{console: "fail", idle: "pass", age: "not_applicable"})},
		{"no password policy", there, nothing(member), says{"aws-iam-password-policy": "fail"}},
		{"other account", there, nothing(member), account},

		{"policy of one bucket", here, iamPolicy("reads", readsOneBucket), says{star: "pass"}},
		{"policy of everything", here, iamPolicy("everything", allowsAll), says{star: "fail"}},
		{"policy of everything with MFA", here, iamPolicy("with-mfa", allowsAllByMFA), says{star: "pass"}},
		{"policy of everything that nobody has", here, iamPolicy("spare", allowsAll), says{star: "not_applicable"}},
		{"policy that was of everything", here, iamPolicy("narrowed", allowsAll), says{star: "pass"}},
		{"its second version", here, secondVersion("policy that was of everything", readsOneBucket), nil},
		{"policy of all but IAM", there, iamPolicy("but-iam", allowsAllButIAM), says{star: "fail"}},

		{"group of administrators", here, group("administrators", groupPolicy(awsAdministrator)), says{star: "not_applicable", admins: "fail"}},
		{"group of readers", here, group("readers", groupPolicy("policy of one bucket"), groupPolicy("policy that was of everything")), says{star: "not_applicable", admins: "pass"}},
		{"group that may do everything", here, group("powerful", groupInline(allowsAll)), says{star: "fail", admins: "fail"}},
		{"group of all but IAM", there, group("almost", groupPolicy("policy of all but IAM")), says{star: "not_applicable", admins: "fail"}},

		{"administrator", here, user("eve", inGroup("administrators")), unable.and(unknown).and(says{admins: "fail"})},
		{"reader", here, user("fay", inGroup("readers")), unable.and(unknown)},
		{"user with a policy of its own", here, user("gus", userPolicy("policy of everything with MFA")), unable.and(unknown).and(says{direct: "fail"})},
		{"user with an inline policy", here, user("hal", userInline(readsOneBucket)), unable.and(unknown).and(says{star: "pass", direct: "fail"})},
		{"user with everything", here, user("ian", userPolicy("policy of everything")), unable.and(unknown).and(says{admins: "fail", direct: "fail"})},
	}
}

func roles() []planted {
	const (
		trust, idle  = "aws-iam-role-trust", "aws-iam-unused-roles"
		star, admins = "aws-iam-no-star-policy", "aws-iam-admin-population"

		service  = `{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}`
		own      = `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + ambient + `:root"},"Action":"sts:AssumeRole"}`
		ours     = `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::ORGANIZED:root"},"Action":"sts:AssumeRole"}`
		everyone = `{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}`
		stranger = `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::888899990000:root"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"e2e"}}}`
		approved = `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + vendor + `:root"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"e2e"}}}`
		confused = `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + vendor + `:root"},"Action":"sts:AssumeRole"}`

		github = `{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::` + ambient + `:oidc-provider/token.actions.githubusercontent.com"},` +
			`"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"token.actions.githubusercontent.com:aud":"sts.amazonaws.com"`
		bound, loose = github + `,"token.actions.githubusercontent.com:sub":"repo:example-org/orders:ref:refs/heads/main"}}}`, github + `}}}`
	)
	// What was made just now is not yet idle.
	fresh := says{trust: "pass", idle: "not_applicable", star: "not_applicable", admins: "pass"}
	return []planted{
		{"role of a service", here, role("app", service), fresh},
		{"role of the own account", here, role("own", own, rolePolicy("policy of one bucket"), roleInline(readsOneBucket)), fresh.and(says{star: "pass"})},
		{"role of the organisation", here, role("ours", ours), fresh},
		{"role of everyone", here, role("everyone", everyone), fresh.and(says{trust: "fail"})},
		{"role of a stranger", here, role("stranger", stranger), fresh.and(says{trust: "fail"})},
		{"role of a vendor", here, role("vendor", approved), fresh.and(says{trust: "pass attested"})},
		{"role of a vendor without external id", here, role("confused", confused), fresh.and(says{trust: "fail attested"})},
		{"role of a repository", here, role("repository", bound), fresh},
		{"role of every repository", here, role("repositories", loose), fresh.and(says{trust: "fail"})},
		{"role that may do everything", here, role("powerful", service, roleInline(allowsAll)), fresh.and(says{star: "fail", admins: "fail"})},
		{"approved administrator", here, role("break-glass", own, rolePolicy(awsAdministrator)), fresh.and(says{admins: "pass attested"})},
		{"role of AWS", here, serviceRole("elasticloadbalancing.amazonaws.com"), fresh.and(says{trust: "not_applicable", admins: "not_applicable"})},
		{"role of another account", there, role("ours", own), fresh.and(says{trust: "fail"})},
	}
}
