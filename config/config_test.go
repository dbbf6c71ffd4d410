package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones of these tests, whatever the machine has

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func known() Known {
	return Known{
		Collectors: []string{"aws.cloudtrail_trails", "aws.iam_users", "aws.s3_buckets"},
		Services:   []string{"account", "cloudasset", "cloudidentity", "cloudtrail", "directory", "ec2", "gcp.iam", "iam", "logging", "organizations", "s3"},
	}
}

// header gives the lines "# word rest" at the start of a fixture.
func header(data []byte, word string) []string {
	var rests []string
	for line := range strings.Lines(string(data)) {
		comment, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "# ")
		if !ok {
			break
		}
		if rest, ok := strings.CutPrefix(comment, word+" "); ok {
			rests = append(rests, rest)
		}
	}
	return rests
}

// environment gives the variables that the header of a fixture sets.
func environment(data []byte) func(string) (string, bool) {
	env := map[string]string{}
	for _, line := range header(data, "env") {
		name, value, _ := strings.Cut(line, "=")
		env[name] = strings.ReplaceAll(value, `\n`, "\n")
	}
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}

func fixtures(t *testing.T, pattern string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("testdata/" + pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no fixtures %s: %v", pattern, err)
	}
	files := map[string][]byte{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = data
	}
	return files
}

// Each bad fixture begins with the problems that it must have, all of them, as
// "# want LINE:COLUMN KEY: MESSAGE".
func TestBadFixtures(t *testing.T) {
	validate := compileSchema(t)
	for name, data := range fixtures(t, "*.bad.yaml") {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(name, data, known(), environment(data))
			problems, ok := errors.AsType[Problems](err)
			if !ok {
				t.Fatalf("error is %T (%v), want Problems", err, err)
			}
			var got []string
			for _, p := range problems {
				got = append(got, fmt.Sprintf("%d:%d %s: %s", p.Line, p.Column, p.Key, p.Message))
				if p.File != name {
					t.Errorf("problem %q is in file %q", p.Message, p.File)
				}
				if strings.Contains(p.Error(), "wJalrXUtnFEMI") || strings.Contains(p.Error(), "AKIA") {
					t.Errorf("the problem repeats what must not be shown:\n%v", p)
				}
			}
			if want := header(data, "want"); !slices.Equal(got, want) {
				t.Errorf("problems:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			// What the schema can tell, it must.
			if slices.Contains(header(data, "schema"), "refuses") {
				if err := validate(data); err == nil {
					t.Error("the schema accepts it")
				}
			}
		})
	}
}

func TestOKFixtures(t *testing.T) {
	validate := compileSchema(t)
	files := fixtures(t, "*.ok.yaml")
	files["example.yaml"] = Example()
	for name, data := range files {
		t.Run(name, func(t *testing.T) {
			f, err := Parse("/etc/tallystick.yaml", data, known(), environment(data))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(f.Raw, data) {
				t.Error("Raw is not the file as written")
			}
			if err := validate(data); err != nil {
				t.Errorf("the schema refuses it: %v", err)
			}
			effective, err := f.Config.Effective()
			if err != nil {
				t.Fatal(err)
			}
			again, err := Parse("/elsewhere/tallystick.yaml", effective, known(), nil)
			if err != nil {
				t.Fatalf("the effective configuration is refused: %v\n%s", err, effective)
			}
			if !reflect.DeepEqual(again.Config, f.Config) {
				t.Errorf("the effective configuration is read as\n%+v, want\n%+v", again.Config, f.Config)
			}
			if err := validate(effective); err != nil {
				t.Errorf("the schema refuses the effective configuration: %v", err)
			}
		})
	}
}

func TestValues(t *testing.T) {
	data := fixtures(t, "everything.ok.yaml")["testdata/everything.ok.yaml"]
	f, err := Parse("/etc/tallystick/config.yaml", data, known(), environment(data))
	if err != nil {
		t.Fatal(err)
	}
	by := func(value any, reason string) Parameter {
		return Parameter{Value: value, Owner: "Jo Doe", Approver: "Sam Roe", Reason: reason}
	}
	want := Config{
		Organization: "Example & Söhne",
		Period:       Period{Start: "2026-01-01", End: "2026-01-01"},
		Remediation:  map[string]int{"critical": 3, "high": 30, "medium": 90, "low": 0},
		Evidence:     Evidence{Dir: "/var/lib/tallystick", Key: "/etc/tallystick/tallystick.key"},
		Schedule: Schedule{
			Default: "30 */5 * * * *", Timezone: "America/New_York",
			Collectors: map[string]string{"aws.s3_buckets": "@every 90m", "aws.iam_users": "0 9 * * mon-fri", "aws.cloudtrail_trails": "off"},
		},
		AWS: AWS{
			SessionName: "tallystick",
			Accounts: []Account{
				{ID: "089012345678"},
				{ID: "012345678901", Role: "arn:aws-us-gov:iam::012345678901:role/path/to/Reader"},
			},
		},
		Catalogue: Catalogue{
			Dirs: []string{"/etc/tallystick/checks", "/etc/shared/checks"},
			Parameters: map[string]map[string]Parameter{
				"aws-iam-access-key-age": {"max_days": by(int64(60), "policy SEC-12")},
				"aws-sg-admin-ports": {
					"ports":  by([]any{int64(22), int64(3389), "5900-5910"}, "costs ${5}"),
					"strict": by(true, "x"),
					"ratio":  by(1.0, "two\nlines"),
				},
			},
		},
		Limits: Limits{InFlight: 8, Rate: map[string]float64{"default": 0, "ec2": 2.5, "account": 1, "cloudasset": 1.5, "cloudidentity": 1, "gcp.iam": 20, "iam": 2, "logging": 0.9, "organizations": 2, "s3": 20}},
		HTTP:   HTTP{Listen: "[::1]:0"},
		Log:    Log{Format: "json", Level: "debug"},
	}
	if !reflect.DeepEqual(f.Config, want) {
		t.Errorf("read\n%+v, want\n%+v", f.Config, want)
	}
	// sha256sum testdata/everything.ok.yaml
	if want := "8a2b435ce9a486ef5b042f490080d97a92fe8f97cef5937e36b39fd2c5a8299e"; string(f.Digest) != want {
		t.Errorf("digest %s, want %s", f.Digest, want)
	}
	if problems := f.Config.Validate(known()); problems != nil {
		t.Errorf("Validate: %v", problems)
	}
}

// What the example has in comments must load too, and the defaults that it
// states must be those of Default.
func TestExampleUncommented(t *testing.T) {
	key := regexp.MustCompile(`(?m)^( *)# ( *(?:- )?[a-z_-]+:(?: .*)?| *- \{.*\})$`)
	data := key.ReplaceAll(Example(), []byte("$1$2"))
	env := func(name string) (string, bool) { return "tallystick-7f3a", name == "TALLYSTICK_EXTERNAL_ID" }
	f, err := Parse("/etc/tallystick.yaml", data, known(), env)
	if err != nil {
		t.Fatal(err)
	}
	got, want := f.Config, Default()
	if got.AWS.Organization.Exclude[0].ID != "999900001111" || got.AWS.Through.Role == "" || got.AWS.SessionName != want.AWS.SessionName {
		t.Errorf("the organisation is %+v through %+v", got.AWS.Organization, got.AWS.Through)
	}
	if w := got.GCP.Workspace; got.GCP.Organization != "123456789012" || got.GCP.ServiceAccount == "" || got.GCP.QuotaProject == "" || w.Customer == "" || w.Subject == "" || w.ServiceAccount == "" {
		t.Errorf("Google Cloud is %+v", got.GCP)
	}
	if len(got.AWS.Accounts) != 2 || got.AWS.Accounts[1].ExternalID != "tallystick-7f3a" {
		t.Errorf("accounts are %+v", got.AWS.Accounts)
	}
	if v := got.Catalogue.Parameters["aws-iam-access-key-age"]["max_age_days"].Value; v != int64(60) {
		t.Errorf("the parameter is %v", v)
	}
	want.Schedule.Collectors = got.Schedule.Collectors
	want.Evidence = Evidence{Dir: "/etc/evidence", Key: "/etc/tallystick.key"}
	for _, pair := range [][2]any{
		{got.Evidence, want.Evidence},
		{got.Remediation, want.Remediation},
		{got.Schedule, want.Schedule},
		{got.AWS.Regions, want.AWS.Regions},
		{got.Limits, want.Limits},
		{got.HTTP, want.HTTP},
		{got.Log, want.Log},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("the example says %+v, the default is %+v", pair[0], pair[1])
		}
	}
	if n := strings.Count(string(data), "\n  in_flight: 32") + strings.Count(string(data), "\n  level: info"); n != 2 {
		t.Error("the comments were not removed, this test tests nothing")
	}
}

func TestValidateWithoutFile(t *testing.T) {
	c := Default()
	var got []string
	for _, p := range c.Validate(Known{}) {
		got = append(got, p.Error())
	}
	want := []string{
		"organization: required: the name of the organization, as its auditor knows it",
		"period.start: required: the first day of the observation period, such as 2026-07-01",
		"period.end: required: the last day of the observation period, such as 2026-07-01",
		"aws.accounts: required: at least one account, such as - id: \"111122223333\", or aws.organization, gcp.organization, gcp.folders or gcp.projects",
	}
	if !slices.Equal(got, want) {
		t.Errorf("problems:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestHelpers(t *testing.T) {
	c := Default()
	c.Schedule.Collectors = map[string]string{"aws.s3_buckets": "@hourly", "aws.cloudtrail_trails": Off}
	c.Remediation["low"] = 0
	c.Schedule.Timezone = "America/New_York"
	c.Period = Period{Start: "2026-03-01", End: "2026-03-31"}
	if got := c.ScheduleFor("aws.s3_buckets"); got != "@hourly" {
		t.Errorf("ScheduleFor(aws.s3_buckets) = %q", got)
	}
	if got := c.ScheduleFor("aws.iam_users"); got != "17 6 * * *" {
		t.Errorf("ScheduleFor(aws.iam_users) = %q", got)
	}
	if got := c.ScheduleFor("aws.cloudtrail_trails"); got != "" {
		t.Errorf("ScheduleFor a collector that is off = %q", got)
	}
	if got, want := c.RemediationDays(), map[string]int{"critical": 7, "high": 30, "medium": 90}; !reflect.DeepEqual(got, want) || len(c.Remediation) != 4 {
		t.Errorf("RemediationDays() = %v, want %v", got, want)
	}
	if c.RateFor("iam") != 2 || c.RateFor("s3") != 20 || c.RateFor("kms") != 5 {
		t.Errorf("RateFor: iam %v, s3 %v, kms %v", c.RateFor("iam"), c.RateFor("s3"), c.RateFor("kms"))
	}
	start, end := c.PeriodBounds()
	if got := start.Format(time.RFC3339) + " " + end.Format(time.RFC3339); got != "2026-03-01T05:00:00Z 2026-04-01T04:00:00Z" {
		t.Errorf("PeriodBounds() = %s", got)
	}
}

// The whole of what a person sees.
func TestProblemsError(t *testing.T) {
	data := "organization: Example, Inc.\nperiod: {start: 2026-07-01, end: 2026-12-31}\naws:\n  accounts:\n\t\n    - id: 111122223333\nlog: {lvl: info}\n"
	data = strings.ReplaceAll(data, "\t\n", "")
	_, err := Parse("etc/tallystick.yaml", []byte(data), known(), nil)
	want := `etc/tallystick.yaml:5:11: aws.accounts[0].id: YAML reads 111122223333 as a whole number; put it in quotes
     5 |     - id: 111122223333
       |           ^
etc/tallystick.yaml:6:7: log.lvl: unknown key; did you mean "level"?
     6 | log: {lvl: info}
       |       ^
2 problems in the configuration`
	if err == nil || err.Error() != want {
		t.Errorf("error:\n%v\nwant:\n%s", err, want)
	}
}

func TestProblemOfTheCaller(t *testing.T) {
	data := fixtures(t, "everything.ok.yaml")["testdata/everything.ok.yaml"]
	f, err := Parse("c.yaml", data, known(), environment(data))
	if err != nil {
		t.Fatal(err)
	}
	p := f.Problem("catalogue.parameters.aws-iam-access-key-age.max_days", "there is no such parameter")
	if p.Line != 30 || p.Column != 17 || !strings.Contains(p.Excerpt, "max_days: {value: 60") {
		t.Errorf("the problem is at %d:%d (%q)", p.Line, p.Column, p.Excerpt)
	}
}

// Windows editors write a byte order mark and end lines with CR LF.
func TestForeignEditors(t *testing.T) {
	want, err := Parse("tallystick.yaml", Example(), known(), nil)
	if err != nil {
		t.Fatal(err)
	}
	data := "\ufeff" + strings.ReplaceAll(string(Example()), "\n", "\r\n")
	got, err := Parse("tallystick.yaml", []byte(data), known(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Config, want.Config) {
		t.Errorf("read\n%+v, want\n%+v", got.Config, want.Config)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tallystick.yaml")
	if _, err := Load(path, known()); err == nil || !strings.Contains(err.Error(), "tallystick init") || !strings.Contains(err.Error(), path) {
		t.Errorf("a missing file: %v", err)
	}
	if err := os.WriteFile(path, Example(), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	f, err := Load("tallystick.yaml", known())
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "evidence"); f.Config.Evidence.Dir != want {
		t.Errorf("evidence.dir is %s, want %s", f.Config.Evidence.Dir, want)
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte("#"), MaxBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, known()); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("a file that is too long: %v", err)
	}
}

func compileSchema(t *testing.T) func([]byte) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return func(data []byte) error {
		var v any
		if err := yaml.Unmarshal(data, &v); err != nil {
			return err
		}
		return compiled.Validate(v)
	}
}
