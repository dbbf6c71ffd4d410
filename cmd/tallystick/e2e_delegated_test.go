package main_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/ledger"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/evidence/seal"
)

// delegated looks at accounts that no configuration names: an organisation
// lists them, and one of them administers the findings of all.
func (w world) delegated(t *testing.T) {
	t.Parallel()
	manager := open(t, w.moto, place{managing, ""})
	plant := func(c cloud, make maker) string {
		t.Helper()
		id, err := make(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	plant(manager, organization)
	orders, security := plant(manager, organized("orders")), plant(manager, organized("security"))
	training := plant(manager, organized("training", orgtypes.Tag{Key: aws.String("purpose"), Value: aws.String("training")}))
	closed := plant(manager, organized("closed"))
	client := organizations.NewFromConfig(manager.config)
	if _, err := client.CloseAccount(t.Context(), &organizations.CloseAccountInput{AccountId: &closed}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.RegisterDelegatedAdministrator(t.Context(), &organizations.RegisterDelegatedAdministratorInput{
		AccountId: &security, ServicePrincipal: aws.String("guardduty.amazonaws.com"),
	}); err != nil {
		t.Fatal(err)
	}
	inOrders, inSecurity := open(t, w.moto, place{orders, "us-east-1"}), open(t, w.moto, place{security, "us-east-1"})
	trusts := func(account string) string {
		return `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:root"},"Action":"sts:AssumeRole"}`
	}
	ours, strangers := plant(inOrders, role("ours", trusts(security))), plant(inOrders, role("strangers", trusts("888899990000")))
	plant(inSecurity, route("arn:aws:sqs:us-east-1:"+security+":findings", eventtypes.RuleStateEnabled))

	const trainingReason = "training without data of customers"
	b := w.bench(t, w.moto, `aws:
  organization:
    management_role: `+roleIn(managing)+`
    member_role: TallystickReader
    exclude: [{tag: purpose=training, reason: `+trainingReason+`, approver: Sam Roe}]
  regions: [us-east-1]
`)
	collect := func(accounts ...string) {
		t.Helper()
		var collected tasks
		r := b.run(t, "collect", "--output", "json", "--collector", "aws.account_regions", "--collector", "aws.events_rules",
			"--collector", "aws.iam_authorization_details", "--collector", "aws.organizations_accounts",
			"--collector", "aws.organizations_membership", "--collector", "aws.sns_topics")
		r.want(t, 3) // moto does not serve account:ListRegions
		r.json(t, &collected)
		seen := map[string]bool{}
		for _, task := range collected.Tasks {
			seen[task.Account] = true
			if whole := task.Outcome == "complete"; whole == (task.Collector == "aws.account_regions") {
				t.Errorf("%s is %s", task.ID, task.Outcome)
			}
		}
		if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, slices.Sorted(slices.Values(accounts))) {
			t.Errorf("looked at %v, want %v", got, accounts)
		}
	}
	collect(managing, orders, security)

	// moto makes this role with an account, as AWS does.
	access := func(account string) string { return "arn:aws:iam::" + account + ":role/OrganizationAccountAccessRole" }
	const inventory, alerts, trust = "aws-org-inventory", "aws-alert-route", "aws-iam-role-trust"
	want := map[subject]string{
		// Nothing was forgotten, but moto does not tell which regions there are.
		{managing, "", inventory, managing}: "unknown",
		{orders, "", inventory, orders}:     "unknown",
		{security, "", inventory, security}: "unknown",

		{managing, "us-east-1", alerts, managing + "/us-east-1"}: "not_applicable",
		{orders, "us-east-1", alerts, orders + "/us-east-1"}:     "not_applicable",
		{security, "us-east-1", alerts, security + "/us-east-1"}: "pass",

		{managing, "", trust, "*"}:              "not_applicable",
		{orders, "", trust, access(orders)}:     "pass",
		{security, "", trust, access(security)}: "pass",
		{orders, "", trust, ours}:               "pass",
		{orders, "", trust, strangers}:          "fail",
	}
	wantSome := func() {
		t.Helper()
		left := maps.Clone(want)
		for _, check := range []string{inventory, alerts, trust} {
			for _, v := range b.verdicts(t, "--check", check) {
				at := subject{v.Account, v.Region, v.Check, v.Resource}
				if v.Status != left[at] {
					t.Errorf("%s: %s, want %q (%s)", at, v.Status, left[at], v.Reason)
				}
				if v.Status == "unknown" && !strings.Contains(v.Reason, "account:ListRegions malformed") {
					t.Errorf("%s: unknown for %q", at, v.Reason)
				}
				delete(left, at)
			}
		}
		for at, says := range left {
			t.Errorf("%s: no verdict, want %s", at, says)
		}
	}
	wantSome()

	// An account that appears is looked at without being named.
	added := plant(manager, organized("added"))
	collect(managing, orders, security, added)
	want[subject{added, "", inventory, added}] = "unknown"
	want[subject{added, "us-east-1", alerts, added + "/us-east-1"}] = "not_applicable"
	want[subject{added, "", trust, access(added)}] = "pass"
	wantSome()

	got, left := lastSchedule(t, b.dir), []evidence.NotCollected{
		{Scope: evidence.Scope{Provider: "aws", Account: closed}, Name: "closed", State: "SUSPENDED"},
		{Scope: evidence.Scope{Provider: "aws", Account: training}, Name: "training", Excluded: true, Reason: trainingReason, Approver: "Sam Roe"},
	}
	slices.SortFunc(left, func(a, b evidence.NotCollected) int { return strings.Compare(a.Account, b.Account) })
	if !slices.Equal(got.NotCollected, left) {
		t.Errorf("not looked at are %+v, want %+v", got.NotCollected, left)
	}
	b.wantVerified(t)
}

// lastSchedule gives the newest schedule that is sealed in a data directory.
func lastSchedule(t *testing.T, dir string) evidence.Schedule {
	t.Helper()
	r, err := ledger.OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	var schedule evidence.Schedule
	for entry, err := range r.Entries(0) {
		if err != nil {
			t.Fatal(err)
		}
		statement, err := seal.Peek(entry.Data)
		if err != nil {
			t.Fatal(err)
		}
		digest, named := statement.Payload(evidence.PayloadSchedule)
		if !named {
			continue
		}
		data, err := payload.OpenRead(dir).ReadAll(digest, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		schedule = evidence.Schedule{}
		if err := json.Unmarshal(data, &schedule); err != nil {
			t.Fatal(err)
		}
	}
	return schedule
}
