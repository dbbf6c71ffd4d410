package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	organizationstypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/tallystick/tallystick/evidence"
)

func (w world) organization(t *testing.T) {
	t.Parallel()
	c := w.found(t, "121212121212")
	sandbox, production := c.unit("Sandbox"), c.unit("Production")
	shop, excluded := c.account("shop", production), c.account("excluded", production)
	boxed := c.account("boxed", sandbox)
	tagged := c.account("tagged", production, organizationstypes.Tag{Key: aws.String("purpose"), Value: aws.String("training")})
	rules := `    exclude:
      - {id: "` + excluded + `", reason: sold (SEC-31), approver: Sam Roe}
      - {unit: Sandbox, reason: thrown away (SEC-32), approver: Jo Doe}
      - {tag: purpose=training, reason: training (SEC-33), approver: Al Poe}
`
	left := sorted(excluded+" excluded: sold (SEC-31) (Sam Roe)", boxed+" boxed: thrown away (SEC-32) (Jo Doe)", tagged+" tagged: training (SEC-33) (Al Poe)")
	if _, err := bucket("e2e-shop")(t.Context(), open(t, w.moto, place{shop, ""})); err != nil {
		t.Fatal(err)
	}

	t.Run("collect", func(t *testing.T) { w.collectOrganization(t, c, rules, shop, excluded) })
	port := freePort(t)
	b := w.bench(t, c.url, c.config("*/3 * * * * *", rules+`http: {listen: "127.0.0.1:`+port+`"}`+"\n"))
	d := b.start(t)
	d.ready(t, "http://127.0.0.1:"+port)

	// First only the account that lists, then what it lists.
	first, second := next(t, b.dir, 1), next(t, b.dir, 2)
	if first.Event != evidence.EventStarted || len(first.Discoveries) > 0 || !slices.Equal(first.accounts(), []string{c.manager}) {
		t.Errorf("the first configuration: %+v, of %v", first.Configuration, first.accounts())
	}
	wantEqual(t, "collected", second.accounts(), sorted(c.manager, shop))
	wantEqual(t, "not collected", second.left(), left)
	wantDiscovery(t, b, second, evidence.Discovery{Accounts: 5, Appeared: sorted(shop, excluded, boxed, tagged)})
	wantMetric(t, "http://127.0.0.1:"+port, 1, "tallystick_check_resources", `account="`+shop+`"`, `check="aws-s3-versioning"`, `status="fail"`)

	fresh := c.account("fresh", production)
	third := next(t, b.dir, 3)
	wantEqual(t, "collected", third.accounts(), sorted(c.manager, shop, fresh))
	wantDiscovery(t, b, third, evidence.Discovery{Accounts: 6, Appeared: []string{fresh}})

	if _, err := c.client.CloseAccount(t.Context(), &organizations.CloseAccountInput{AccountId: &fresh}); err != nil {
		t.Fatal(err)
	}
	fourth := next(t, b.dir, 4)
	wantEqual(t, "collected", fourth.accounts(), sorted(c.manager, shop))
	wantEqual(t, "not collected", fourth.left(), sorted(append(left, fresh+" fresh: SUSPENDED ()")...))
	wantDiscovery(t, b, fourth, evidence.Discovery{Accounts: 6, Suspended: []string{fresh}})

	if _, err := c.client.RemoveAccountFromOrganization(t.Context(), &organizations.RemoveAccountFromOrganizationInput{AccountId: &fresh}); err != nil {
		t.Fatal(err)
	}
	fifth := next(t, b.dir, 5)
	wantEqual(t, "not collected", fifth.left(), left)
	wantDiscovery(t, b, fifth, evidence.Discovery{Accounts: 5, Vanished: []string{fresh}})
	for _, r := range records(t, b.dir) {
		if m, ok := r.(*evidence.Missed); ok && (m.Cause == evidence.CauseAgentDown || m.Cause == evidence.CauseInterrupted) {
			t.Errorf("a slot was missed over a handover: %+v", m)
		}
	}

	// A listing that is refused changes nothing, over a restart neither.
	c.deny(true)
	wantRefusedListings(t, b, 2)
	d.stop(t)
	d = b.start(t)
	d.ready(t, "http://127.0.0.1:"+port)
	sixth := next(t, b.dir, 6)
	wantRefusedListings(t, b, 3)
	wantEqual(t, "collected", sixth.accounts(), sorted(c.manager, shop))
	wantEqual(t, "not collected", sixth.left(), left)
	if sixth.Event != evidence.EventStarted || len(sixth.Discoveries) != 1 || sixth.Discoveries[0].Record != fifth.Discoveries[0].Record {
		t.Errorf("after a restart: %+v, want the listing of record %d", sixth.Configuration, fifth.Discoveries[0].Record)
	}
	d.stop(t)
	if n := len(configurations(t, b.dir)); n != 6 {
		t.Errorf("%d configurations took force, want 6", n)
	}
	wantAuditable(t, b, fresh, third.Discoveries[0].Record, fifth.Discoveries[0].Record)
}

// wantDiscovery holds a configuration against what the listing that it rests on
// is to have said.
func wantDiscovery(t *testing.T, b *bench, c configuration, want evidence.Discovery) {
	t.Helper()
	if c.Event != evidence.EventDiscovered || len(c.Discoveries) != 1 {
		t.Fatalf("a configuration that was not discovered: %+v", c.Configuration)
	}
	got := c.Discoveries[0]
	run, ok := records(t, b.dir)[got.Record].(*evidence.Run)
	if !ok || run.Collector != "aws.organizations_accounts" || run.Outcome != evidence.Complete {
		t.Fatalf("the discovery rests on record %d: %+v", got.Record, run)
	}
	want.Scope, want.Record = run.Scope, got.Record
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the discovery is %+v, want %+v", got, want)
	}
}

// wantRefusedListings waits for so many runs that could not list.
func wantRefusedListings(t *testing.T, b *bench, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d listings are refused", n), func() error {
		got := 0
		for _, r := range records(t, b.dir) {
			if r, ok := r.(*evidence.Run); ok && slices.ContainsFunc(r.Gaps, func(g evidence.GapCount) bool {
				return g.Operation == "organizations:ListAccounts" && g.Class == evidence.Denied
			}) {
				got++
			}
		}
		if got < n {
			return fmt.Errorf("%d were", got)
		}
		return nil
	})
}

// wantAuditable demands that the directory is sound, that everything can be
// performed again, and that a bundle of it shows how the accounts changed.
func wantAuditable(t *testing.T, b *bench, fresh string, appeared, vanished uint64) {
	t.Helper()
	b.wantVerified(t)
	b.run(t, "replay", b.dir).want(t, 0)
	b.run(t, "export", "--out", "bundle").want(t, 0)
	b.run(t, "verify", "--key", b.key, "bundle").want(t, 0)
	b.run(t, "replay", "bundle").want(t, 0)
	wantReassessed(t, b, b.dir, "--from", "2026-01-01")
	wantReassessed(t, b, "bundle", "--from", "2026-01-01")
	used := 0
	for _, r := range records(t, b.dir) {
		if a, ok := r.(*evidence.Assessment); ok && slices.ContainsFunc(a.Used, func(u evidence.Used) bool {
			return u.Organization && !strings.HasSuffix(u.Stream, "@"+a.Scope.String())
		}) {
			used++
		}
	}
	if used == 0 {
		t.Error("no account was judged by another that answers for the organisation")
	}
	raw, err := os.ReadFile(filepath.Join(b.folder, "bundle", "tables", "changes.csv"))
	if err != nil {
		t.Fatal(err)
	}
	changes := string(raw)
	for _, want := range []string{
		`aws/` + fresh + `,account,,"""` + fresh + `""",,,"by the organisation's own listing, record ` + strconv.FormatUint(appeared, 10),
		`aws/` + fresh + `,not_collected,,"""state SUSPENDED"""`,
		`aws/` + fresh + `,not_collected,"""state SUSPENDED""",,,,"by the organisation's own listing, record ` + strconv.FormatUint(vanished, 10),
		`"""excluded: thrown away (SEC-32) (approved by Jo Doe)""",,Jo Doe,"thrown away (SEC-32); by the organisation's own listing`,
	} {
		if !strings.Contains(changes, want) {
			t.Errorf("the change log does not say %s:\n%s", want, changes)
		}
	}
}

// wantReassessed demands that the same catalogue says the same of old evidence.
func wantReassessed(t *testing.T, b *bench, args ...string) {
	t.Helper()
	r := b.run(t, append([]string{"reassess", "--output", "json"}, args...)...)
	r.want(t, 0)
	var got struct {
		Assessments, Same, Changed int
		NotPerformed               []any `json:"not_performed"`
	}
	r.json(t, &got)
	if got.Assessments == 0 || got.Same == 0 || got.Changed > 0 || len(got.NotPerformed) > 0 {
		t.Errorf("reassess %v: %s", args, r)
	}
}

// collectOrganization collects by hand: first what says which accounts there
// are, then all of them, in one go.
func (w world) collectOrganization(t *testing.T, c *company, rules, shop, excluded string) {
	t.Helper()
	b := w.bench(t, c.url, c.config("@yearly", rules))
	r := b.run(t, "collect", "--output", "json")
	r.want(t, 0)
	var collected tasks
	r.json(t, &collected)
	var streams []string
	for _, task := range collected.Tasks {
		streams = append(streams, task.Collector+"@"+task.Account)
	}
	want := []string{"aws.organizations_accounts@" + c.manager}
	for _, account := range []string{c.manager, shop} {
		want = append(want, "aws.account_regions@"+account, "aws.organizations_membership@"+account, "aws.s3_buckets@"+account)
	}
	wantEqual(t, "tasks", sorted(streams...), sorted(want...))
	b.wantVerified(t)
	wantInventory(t, b, c.manager, shop)

	r = b.run(t, "collect", "--output", "json", "--collector", "aws.s3_buckets", "--account", shop)
	r.want(t, 0)
	collected = tasks{}
	r.json(t, &collected)
	if one := collected.one(t); one.Account != shop || one.Observations != 1 {
		t.Errorf("asked for the buckets of a member, got %+v", one)
	}
	r = b.run(t, "collect", "--account", excluded)
	r.want(t, 1)
	r.says(t, excluded, "is left out by aws.organization: sold (SEC-31) (approved by Sam Roe)")
	r = b.run(t, "collect", "--account", "999999999999")
	r.want(t, 1)
	r.says(t, "999999999999", "is not among the accounts that the organisation listed", "--collector aws.organizations_accounts")

	// What is refused now is known from before.
	c.deny(true)
	defer c.deny(false)
	r = b.run(t, "collect", "--output", "json")
	r.want(t, 3)
	collected = tasks{}
	r.json(t, &collected)
	if len(collected.Tasks) != len(want) {
		t.Errorf("%d tasks after the listing was refused, want %d: %s", len(collected.Tasks), len(want), r)
	}
	for _, v := range b.verdicts(t, "--check", "aws-org-inventory", "--account", c.manager) {
		if v.Status != "unknown" || !strings.Contains(v.Reason, "organizations:ListAccounts denied (AccessDeniedException), needs organizations:ListAccounts") {
			t.Errorf("what could not be listed is judged: %+v", v)
		}
	}
	c.deny(false)
	b.run(t, "collect").want(t, 0)
	wantInventory(t, b, c.manager, shop)
	b.wantVerified(t)
	b.run(t, "replay", b.dir).want(t, 0)
	wantReassessed(t, b, b.dir)
}

// wantInventory demands that every account is looked at, or left out for a reason.
func wantInventory(t *testing.T, b *bench, manager, member string) {
	t.Helper()
	reasons := map[string]string{}
	for _, v := range b.verdicts(t, "--check", "aws-org-inventory") {
		reasons[v.Account] = v.Status + " " + v.Reason
	}
	for account, want := range map[string]string{
		manager: "pass every active account of organisation ",
		member:  "pass the enabled regions are looked at; the accounts of the organisation are judged in " + manager,
	} {
		if !strings.HasPrefix(reasons[account], want) {
			t.Errorf("aws-org-inventory in %s: %q, want %q", account, reasons[account], want)
		}
	}
	if len(reasons) != 2 {
		t.Errorf("aws-org-inventory: %v, want two accounts", reasons)
	}
}
