package main_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// said is the value of a parameter, in YAML, by check and name with a dot between.
type said map[string]string

// parameters gives the part of the configuration that changes them.
func parameters(all said) string {
	var text strings.Builder
	text.WriteString("catalogue:\n  parameters:\n")
	for _, key := range slices.Sorted(maps.Keys(all)) {
		check, name, _ := strings.Cut(key, ".")
		fmt.Fprintf(&text, "    %s: {%s: {value: %s, owner: security, approver: Sam Roe, reason: as the policy says}}\n", check, name, all[key])
	}
	return text.String()
}

// estateParameters are what the company says of the estate.
func estateParameters() said {
	const tables = "arn:aws:dynamodb:us-east-1:" + ambient + ":table/"
	return said{
		"aws-cloudtrail-data-events.stores":    `["arn:aws:s3:::e2e-locked", "arn:aws:s3:::e2e-europe", "` + tables + `keyed", "` + tables + `carts"]`,
		"aws-iam-admin-population.approved":    `["arn:aws:iam::` + ambient + `:role/break-glass"]`,
		"aws-iam-role-trust.approved_accounts": `["` + vendor + `"]`,
	}
}

// reconsidered is what it says later, of the same estate.
func reconsidered(ids map[string]string) said {
	today := `"` + time.Now().UTC().Format(time.DateOnly) + `"`
	return said{
		// No threshold is short enough to tell apart what was planted within a
		// minute. With none left, all of it is old.
		"aws-backup-coverage.max_age_hours":     "0",
		"aws-ebs-recent-snapshot.max_age_hours": "0",
		"aws-iam-unused-roles.max_idle_days":    "0",

		"aws-iam-access-listing.last_review": today,
		"aws-sso-mfa-evidence.evidence_date": today,

		"aws-alert-route.aggregation_region":               "us-east-1",
		"aws-cloudtrail-kms.accept_sse_s3":                 "true",
		"aws-inspector-enabled.other_scanner":              "another scanner",
		"aws-s3-account-public-block.public_site_accounts": `["` + ambient + `"]`,
		"aws-s3-bucket-public.approved_public":             "[e2e-public]",
		"aws-sg-admin-ports.approved_prefix_lists":         "[" + ids["list of ranges"] + "]",
	}
}

// reconsideredEstate is what changes by that.
func reconsideredEstate() []planted {
	const recent, backed = "aws-ebs-recent-snapshot", "aws-backup-coverage"
	const idle = "aws-iam-unused-roles"
	const mfa, review = "aws-sso-mfa-evidence", "aws-iam-access-listing"
	const alerts, scanning, trails = "aws-alert-route", "aws-inspector-enabled", "aws-cloudtrail-kms"
	const na = "not_applicable"

	// moto's snapshots are a few seconds old, and so too old now. What AWS Backup
	// saves it does not tell.
	volume := says{recent: "fail", backed: "unknown"}
	role := says{idle: "fail"}
	instance := says{mfa: "pass attested"}
	return []planted{
		{"encrypted volume", hereEU, nil, volume},
		{"plain volume", hereEU, nil, volume},
		{"other plain volume", thereUS, nil, volume},
		{"root volume", hereUS, nil, volume},
		{"other root volume", hereUS, nil, volume},
		{"third root volume", hereUS, nil, volume},
		{"root volume of the other instance", thereEU, nil, volume},

		// moto does not tell the protection of a file system either.
		{"encrypted file system", hereUS, nil, says{backed: "unknown"}},
		{"plain file system", hereEU, nil, says{backed: "unknown"}},

		{"role of a service", here, nil, role},
		{"role of the own account", here, nil, role},
		{"role of the organisation", here, nil, role},
		{"role of everyone", here, nil, role},
		{"role of a stranger", here, nil, role},
		{"role of a vendor", here, nil, role},
		{"role of a vendor without external id", here, nil, role},
		{"role of a repository", here, nil, role},
		{"role of every repository", here, nil, role},
		{"role that may do everything", here, nil, role},
		{"approved administrator", here, nil, role},
		{"role of another account", there, nil, role},

		// A review of a listing that was not whole is none.
		{"account", here, nil, says{review: "unknown"}},
		{"other account", there, nil, says{review: "pass attested"}},
		{"identity center", hereUS, nil, instance},
		{"european identity center", hereEU, nil, instance},
		{"other identity center", thereUS, nil, instance},
		{"other european identity center", thereEU, nil, instance},

		{"region", hereUS, nil, says{scanning: na}},
		{"european region", hereEU, nil, says{scanning: na, alerts: na}},
		{"other region", thereUS, nil, says{scanning: na}},
		{"other european region", thereEU, nil, says{scanning: na, alerts: na}},
		{"trail of all regions", hereUS, nil, says{trails: na}},
		{"stopped trail", thereUS, nil, says{trails: na}},
		{"account that blocks some", here, nil, says{"aws-s3-account-public-block": na}},
		{"public bucket", here, nil, says{"aws-s3-bucket-public": na}},
		{"host for a list of ranges", hereEU, nil, says{"aws-sg-admin-ports": "pass"}},
	}
}
