package aws_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/collectors/aws"
	"github.com/tallystick/tallystick/collectors/aws/recordings"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/capture"
)

// partition is a partition of AWS, and where in it the global services answer.
// Source: AWS general reference, service endpoints; IAM endpoints and quotas;
// AWS Organizations endpoints and quotas.
type partition struct {
	name    string
	suffix  string // of hosts
	regions *regexp.Regexp
	home    string            // region
	other   string            // another region
	third   string            // a third one: made up where the partition has but two
	hosts   map[string]string // of global services, where it is not SERVICE.HOME.SUFFIX
	signs   map[string]string // the region that a service is signed for, where it is not that of the call
}

func partitions() []partition {
	return []partition{
		{
			name: "aws", suffix: ".amazonaws.com", regions: regexp.MustCompile(`^(us|eu|ap|ca|sa|me|af|il|mx)-[a-z]+-\d$`),
			home: "us-east-1", other: "eu-west-1", third: "eu-central-1",
			hosts: map[string]string{"iam": "iam.amazonaws.com"},
		},
		{
			name: "aws-us-gov", suffix: ".amazonaws.com", regions: regexp.MustCompile(`^us-gov-[a-z]+-\d$`),
			home: "us-gov-west-1", other: "us-gov-east-1", third: "us-gov-central-1",
			hosts: map[string]string{"iam": "iam.us-gov.amazonaws.com"},
		},
		{
			name: "aws-cn", suffix: ".amazonaws.com.cn", regions: regexp.MustCompile(`^cn-[a-z]+-\d$`),
			home: "cn-north-1", other: "cn-northwest-1", third: "cn-central-1",
			hosts: map[string]string{
				"iam": "iam.cn-north-1.amazonaws.com.cn", "organizations": "organizations.cn-northwest-1.amazonaws.com.cn",
				"account": "account.cn-northwest-1.amazonaws.com.cn",
			},
			signs: map[string]string{"organizations": "cn-northwest-1", "account": "cn-northwest-1"},
		},
	}
}

func partitionNamed(t *testing.T, name string) partition {
	t.Helper()
	for _, p := range partitions() {
		if p.name == name {
			return p
		}
	}
	t.Fatalf("no partition %s", name)
	return partition{}
}

// belongs says what is wrong with a request for this partition.
func (p partition) belongs(req *http.Request, l capture.Labels) string {
	// Source: AWS Signature Version 4, "Credential=ID/DATE/REGION/SERVICE/aws4_request".
	scope := strings.Split(req.Header.Get("Authorization"), "/")
	if len(scope) < 4 || !p.regions.MatchString(scope[2]) {
		return fmt.Sprintf("signed for %q", req.Header.Get("Authorization"))
	}
	host, inside := strings.CutSuffix(req.URL.Host, p.suffix)
	if !inside {
		return "another partition"
	}
	if req.URL.Host == p.hosts["iam"] {
		return ""
	}
	parts := strings.Split(host, ".")
	if region := parts[len(parts)-1]; !p.regions.MatchString(region) {
		return fmt.Sprintf("region %q", region)
	}
	if l.Region != "" && !p.regions.MatchString(l.Region) {
		return fmt.Sprintf("called for region %q", l.Region)
	}
	return ""
}

// global gives where a service of the whole partition is asked, and the region
// that the request is signed for.
func (p partition) global(service string) (host, region string) {
	host, region = service+"."+p.home+p.suffix, p.home
	if h, ok := p.hosts[service]; ok {
		host = h
	}
	if r, ok := p.signs[service]; ok {
		region = r
	}
	return host, region
}

// outside is the network of a partition in which an account may do nothing but
// say who it is and which regions it has.
type outside struct {
	t        *testing.T
	at       partition
	account  string
	lost     bool // no other host is known
	mu       sync.Mutex
	services map[string]bool // that were called
}

func (o *outside) RoundTrip(req *http.Request) (*http.Response, error) {
	l := aws.Describe(req)
	if wrong := o.at.belongs(req, l); wrong != "" {
		o.t.Errorf("%s: %s %s: %s", o.at.name, l.Operation, req.URL.Host, wrong)
	}
	o.mu.Lock()
	o.services[l.Service] = true
	o.mu.Unlock()
	switch {
	case l.Operation == "sts:GetCallerIdentity":
		o.isGlobal(req, "sts")
		return capture.Respond(req, http.StatusOK, "text/xml", fmt.Sprintf(
			"<R><GetCallerIdentityResult><Arn>arn:%s:sts::%s:assumed-role/Reader/tallystick</Arn><Account>%s</Account></GetCallerIdentityResult></R>",
			o.at.name, o.account, o.account)), nil
	case l.Operation == "ec2:DescribeRegions":
		o.isGlobal(req, "ec2")
		return capture.Respond(req, http.StatusOK, "text/xml", "<R><regionInfo><item><regionName>"+o.at.other+"</regionName></item></regionInfo></R>"), nil
	case slices.Contains([]string{"iam", "organizations", "account"}, l.Service), l.Operation == "s3:ListBuckets":
		o.isGlobal(req, l.Service)
	}
	if o.lost {
		return nil, &net.DNSError{Err: "no such host", Name: req.URL.Host, IsNotFound: true}
	}
	r, known := refusals()[l.Service]
	if !known {
		o.t.Errorf("add the protocol of %s to refusals", l.Service)
		return nil, fmt.Errorf("no refusal for %s", l.Service)
	}
	return r.answer(req, r.denied), nil
}

func (o *outside) isGlobal(req *http.Request, service string) {
	host, region := o.at.global(service)
	if signed := "/" + region + "/"; req.URL.Host != host || !strings.Contains(req.Header.Get("Authorization"), signed) {
		o.t.Errorf("%s: %s is asked at %s with %q, want %s and %s", o.at.name, service, req.URL.Host, req.Header.Get("Authorization"), host, region)
	}
}

func static(account string) sdk.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(account, "made-up", "")
}

// TestPartitions runs every collector in each partition, whichever way the
// partition is known: nothing of another one is called, and what a partition
// does not have, or does not allow, is a gap for every kind.
func TestPartitions(t *testing.T) {
	const account = "111122223333"
	keyed := func(environment map[string]string) map[string]string {
		maps.Copy(environment, map[string]string{"AWS_ACCESS_KEY_ID": "KEY-0", "AWS_SECRET_ACCESS_KEY": "secret-of-KEY-0"})
		return environment
	}
	role := func(name string) string { return "arn:" + name + ":iam::" + account + ":role/Reader" }
	alone := []aws.Account{{ID: account}}
	for _, p := range partitions() {
		elsewhere := "us-gov-east-1"
		if p.name == "aws-us-gov" {
			elsewhere = "cn-northwest-1"
		}
		profile := write(t, "config", "[default]\nregion = "+p.other+"\n")
		tests := []struct {
			name        string
			settings    aws.Settings
			environment map[string]string
			lost        bool
		}{
			{name: "a role", settings: aws.Settings{Accounts: []aws.Account{{ID: account, Role: role(p.name)}}, Credentials: static}},
			{name: "a role, and hosts that nobody knows", settings: aws.Settings{Accounts: []aws.Account{{ID: account, Role: role(p.name)}}, Credentials: static}, lost: true},
			{name: "the hub's role", settings: aws.Settings{Accounts: alone, Through: aws.Account{Role: role(p.name)}, Credentials: static}},
			{name: "a region", settings: aws.Settings{Accounts: alone, Regions: []string{p.other}, Credentials: static}},
			{name: "AWS_REGION", settings: aws.Settings{Accounts: alone}, environment: keyed(map[string]string{"AWS_REGION": p.other})},
			{name: "AWS_DEFAULT_REGION", settings: aws.Settings{Accounts: alone}, environment: keyed(map[string]string{"AWS_DEFAULT_REGION": p.other})},
			{name: "a profile", settings: aws.Settings{Accounts: alone}, environment: keyed(map[string]string{"AWS_CONFIG_FILE": profile})},
			{
				// The account is not read through the hub, so that no role is assumed.
				name: "the hub's role, in a region elsewhere", environment: keyed(map[string]string{"AWS_REGION": elsewhere}),
				settings: aws.Settings{Accounts: alone, Through: aws.Account{Role: role(p.name)}},
			},
		}
		for _, tt := range tests {
			t.Run(p.name+"/"+tt.name, func(t *testing.T) {
				ambient(t, tt.environment)
				e := newEstate(t, tt.settings)
				o := &outside{t: t, at: p, account: account, lost: tt.lost, services: map[string]bool{}}
				for _, c := range aws.Catalogue(e) {
					got, _ := collect(t, c, account, o)
					o.allGaps(c.Spec(), got)
				}
				for service := range refusals() {
					// The others ask about what an earlier answer names.
					if !o.services[service] && service != "s3control" && service != "identitystore" {
						t.Errorf("%s was not called", service)
					}
				}
			})
		}
	}
}

// allGaps demands that everything a collector could not look at is a gap of
// the right class, and that no list counts as read.
func (o *outside) allGaps(spec collectors.Spec, got *seen) {
	o.t.Helper()
	class := evidence.Denied
	if o.lost {
		class = evidence.Unavailable
	}
	for _, g := range got.gaps {
		if g.Class != class || g.Operation == "sts:GetCallerIdentity" || g.Operation == "ec2:DescribeRegions" {
			o.t.Errorf("%s: the gap is %+v, want class %s", spec.Name, g, class)
		}
	}
	for _, kind := range spec.Kinds {
		gap := slices.ContainsFunc(got.gaps, func(g evidence.Gap) bool { return g.Kind == kind })
		// A kind that is known without a call has resources, and their fields are gaps.
		known := slices.ContainsFunc(got.observations, func(b evidence.Observation) bool { return b.Kind == kind })
		if !gap && !known {
			o.t.Errorf("%s: %s has neither a gap nor a resource", spec.Name, kind)
		}
	}
	for _, b := range got.observations {
		if arns := regexp.MustCompile(`arn:[a-z-]*:`).FindAllString(b.ID+string(b.Body), -1); slices.ContainsFunc(arns, func(s string) bool { return s != "arn:"+o.at.name+":" }) {
			o.t.Errorf("%s: %s %s has an ARN of another partition: %s", spec.Name, b.Kind, b.ID, b.Body)
		}
	}
}

// moved gives a recording, or what is expected of it, as it is in a partition.
func (p partition) moved(text []byte) []byte {
	return []byte(strings.NewReplacer("arn:aws:", "arn:"+p.name+":", "arn%3Aaws%3A", "arn%3A"+p.name+"%3A",
		"us-east-1", p.home, "eu-west-1", p.other, "eu-central-1", p.third).Replace(string(text)))
}

// recording gives the recordings of one collector as they would be had in the
// partition.
func (p partition) recording(t *testing.T, account, collector string) []io.Reader {
	t.Helper()
	files, err := recordings.Open(account, collector)
	if err != nil {
		t.Fatal(err)
	}
	host := regexp.MustCompile(`"url": "https://[a-z0-9.-]+`)
	encoded := regexp.MustCompile(`<Content>[A-Za-z0-9+/=]+<`) // the credential report
	var out []io.Reader
	for _, f := range files {
		text, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		text = host.ReplaceAllFunc(text, func(url []byte) []byte {
			h := strings.TrimPrefix(string(url), `"url": "https://`)
			if own, ok := p.hosts[strings.SplitN(h, ".", 2)[0]]; ok {
				h = own
			}
			return []byte(`"url": "https://` + strings.TrimSuffix(strings.TrimSuffix(h, ".cn"), ".amazonaws.com") + p.suffix)
		})
		text = encoded.ReplaceAllFunc(text, func(content []byte) []byte {
			inner := strings.TrimSuffix(strings.TrimPrefix(string(content), "<Content>"), "<")
			plain, err := base64.StdEncoding.DecodeString(inner)
			if err != nil {
				t.Fatal(err)
			}
			return []byte("<Content>" + base64.StdEncoding.EncodeToString(p.moved(plain)) + "<")
		})
		out = append(out, bytes.NewReader(p.moved(text)))
	}
	return out
}

// TestEstateInPartitions moves the whole recorded estate to another partition:
// all is seen there as it is seen in the commercial one, with the ARNs of the
// partition, those that the collectors make among them.
func TestEstateInPartitions(t *testing.T) {
	for _, name := range []string{"aws-us-gov", "aws-cn"} {
		p := partitionNamed(t, name)
		var accounts []aws.Account
		for _, id := range recordings.Accounts() {
			accounts = append(accounts, aws.Account{ID: id, Role: "arn:" + name + ":iam::" + id + ":role/Reader"})
		}
		e := newEstate(t, aws.Settings{Accounts: accounts, Regions: []string{p.home, p.other}, Credentials: static})
		for _, c := range aws.Catalogue(e) {
			for _, account := range recordings.Accounts() {
				t.Run(name+"/"+c.Spec().Name+"/"+account, func(t *testing.T) {
					replayer, err := capture.OpenReplay(capture.ReplayOptions{
						Describe: aws.Describe, RepeatLast: true, Now: recordings.At,
						Intercept: func(req *http.Request, l capture.Labels) (*http.Response, error) {
							if wrong := p.belongs(req, l); wrong != "" {
								t.Errorf("%s %s: %s", l.Operation, req.URL.Host, wrong)
							}
							return nil, nil
						},
					}, p.recording(t, account, c.Spec().Name)...)
					if err != nil {
						t.Fatal(err)
					}
					got, _ := collect(t, c, account, unrecorded{t, replayer})
					var lines []string
					for _, o := range got.observations {
						o.Sources = nil
						lines = append(lines, line(t, o))
					}
					for _, g := range got.gaps {
						lines = append(lines, line(t, g))
					}
					golden, err := os.ReadFile(filepath.Join("testdata", "golden", account, c.Spec().Name+".jsonl"))
					if err != nil {
						t.Fatal(err)
					}
					want := strings.SplitAfter(string(p.moved(golden)), "\n")
					want = want[:len(want)-1]
					slices.Sort(lines) // regions come in another order
					slices.Sort(want)
					for _, l := range lines {
						if strings.Contains(l, "arn:aws:") {
							t.Errorf("an ARN of another partition: %s", l)
						}
						if !slices.Contains(want, l) {
							t.Errorf("not expected: %s", l)
						}
					}
					for _, l := range want {
						if !slices.Contains(lines, l) {
							t.Errorf("missing:      %s", l)
						}
					}
				})
			}
		}
	}
}

// line encodes as the golden files do.
func line(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
