package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/collectors/aws"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/internal/agent"
	"github.com/tallystick/tallystick/internal/capture"
	"github.com/tallystick/tallystick/internal/durable"
	"github.com/tallystick/tallystick/internal/telemetry"
)

// The estate of BenchmarkYear: with eight calls a bucket, one task of an
// account makes about 2 MB of exchanges.
const (
	yearAccounts  = 50
	yearBuckets   = 125
	yearCollector = "aws.s3_buckets"

	yearRevision  = "rev-0000" // value of a tag of every bucket, which changes
	yearRequestID = "YEARREQUESTID000"
	yearID2       = "WWVhcg==" // of the extended request id, which is 76 random characters
)

func yearStart() time.Time { return time.Date(2025, time.October, 31, 6, 19, 0, 0, time.UTC) }

// yearSlot is the slot of a day, counted from 1.
func yearSlot(day int) time.Time {
	return time.Date(2025, time.October, 31+day, 6, 17, 0, 0, time.UTC)
}

func yearAccount(i int) string { return fmt.Sprintf("%012d", 100000000000+i*1001) }

func yearConfig(days int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "organization: Example, Inc.\nperiod: {start: 2025-11-01, end: %s}\n", yearSlot(days).Format(time.DateOnly))
	b.WriteString("evidence: {dir: ./evidence, key: ./tallystick.key}\nlimits: {rate: {default: 0, account: 0, iam: 0, organizations: 0, s3: 0}}\naws:\n  regions: [us-east-1]\n  accounts:\n")
	for i := range yearAccounts {
		fmt.Fprintf(&b, "    - {id: %q, role: %q}\n", yearAccount(i), "arn:aws:iam::"+yearAccount(i)+":role/TallystickReader")
	}
	return b.String()
}

// yearTags is what S3 answers to GetBucketTagging.
func yearTags(revision string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><TagSet><Tag><Key>data</Key><Value>customer</Value></Tag><Tag><Key>revision</Key><Value>` + revision + `</Value></Tag></TagSet></Tagging>`
}

// yearTransport answers for the estate. From the slot of the first day on, one
// bucket of each account has its versioning suspended.
type yearTransport struct{ now func() time.Time }

// RoundTrip implements http.RoundTripper. Source of the answers: the Amazon S3
// API reference.
func (y yearTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	const head = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
	const ns = ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`
	_, account, _ := strings.Cut(req.Header.Get("Authorization"), "Credential=")
	account, _, _ = strings.Cut(account, "/")
	query, body := req.URL.Query(), ""
	switch {
	case strings.HasPrefix(req.URL.Host, "sts."):
		body = `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::` + account + `:role/TallystickReader</Arn><Account>` + account + `</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`
	case query.Has("encryption"):
		body = head + `<ServerSideEncryptionConfiguration` + ns + `><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>arn:aws:kms:us-east-1:` + account + `:key/0ffe0000-1111-4222-8333-000000000001</KMSMasterKeyID></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>`
	case query.Has("versioning"):
		status := "Enabled"
		if strings.Contains(req.URL.Host+req.URL.Path, "bucket-007") && !y.now().Before(yearSlot(1)) {
			status = "Suspended"
		}
		body = head + `<VersioningConfiguration` + ns + `><Status>` + status + `</Status></VersioningConfiguration>`
	case query.Has("logging"):
		body = head + `<BucketLoggingStatus` + ns + `><LoggingEnabled><TargetBucket>example-access-logs</TargetBucket><TargetPrefix>s3/</TargetPrefix></LoggingEnabled></BucketLoggingStatus>`
	case query.Has("publicAccessBlock"):
		body = head + `<PublicAccessBlockConfiguration` + ns + `><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>`
	case query.Has("policy"):
		body = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`
	case query.Has("acl"):
		body = head + `<AccessControlPolicy` + ns + `><Owner><ID>a1</ID></Owner><AccessControlList><Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>a1</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>`
	case query.Has("policyStatus"):
		body = head + `<PolicyStatus` + ns + `><IsPublic>false</IsPublic></PolicyStatus>`
	case query.Has("object-lock"):
		body = head + `<ObjectLockConfiguration` + ns + `><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>`
	case query.Has("lifecycle"):
		body = head + `<LifecycleConfiguration` + ns + `><Rule><ID>expire</ID><Filter><Prefix>tmp/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>400</Days></Expiration></Rule></LifecycleConfiguration>`
	case query.Has("tagging"):
		body = yearTags(yearRevision)
	case query.Has("max-buckets"):
		var list strings.Builder
		for i := range yearBuckets {
			fmt.Fprintf(&list, `<Bucket><Name>example-%s-bucket-%03d</Name><CreationDate>2025-02-03T04:05:06.000Z</CreationDate><BucketRegion>us-east-1</BucketRegion></Bucket>`, account[6:], i)
		}
		body = head + `<ListAllMyBucketsResult` + ns + `><Buckets>` + list.String() + `</Buckets></ListAllMyBucketsResult>`
	default:
		return nil, fmt.Errorf("the estate has no answer to %s", req.URL)
	}
	resp := capture.Respond(req, http.StatusOK, "application/xml", body)
	resp.Header.Set("Date", y.now().Format(http.TimeFormat))
	resp.Header.Set("Server", "AmazonS3")
	resp.Header.Set("X-Amz-Id-2", yearID2)
	resp.Header.Set("X-Amz-Request-Id", yearRequestID)
	return resp, nil
}

// stillClock stands still, and leaps over every wait. It claims to be the
// machine's: what is measured is evidence as it is in earnest.
type stillClock struct {
	mu  sync.Mutex
	now time.Time // guarded by mu
}

func (c *stillClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *stillClock) Wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return context.Cause(ctx)
}

func (*stillClock) Kind() evidence.Clock { return evidence.ClockSystem }

// recordDays runs the real agent and collector in a folder that holds a
// configuration and a key: a first look, and the first slot.
func recordDays(b *testing.B, folder, dir string) {
	b.Helper()
	file, err := readConfig(filepath.Join(folder, "tallystick.yaml"))
	check(b, err)
	file.Config.Evidence.Dir = dir
	metrics, err := telemetry.New(prometheus.NewRegistry())
	check(b, err)
	var accounts []aws.Account
	for i := range yearAccounts {
		accounts = append(accounts, aws.Account{ID: yearAccount(i)})
	}
	estate, err := aws.New(b.Context(), aws.Settings{
		Accounts: accounts, Regions: []string{"us-east-1"},
		Credentials: func(account string) sdk.CredentialsProvider {
			return credentials.NewStaticCredentialsProvider(account, "made-up", "")
		},
	})
	check(b, err)
	clock := &stillClock{now: yearStart()}
	provider := awsProvider(estate)
	provider.Transport = yearTransport{clock.Now}
	provider.Collectors = slices.DeleteFunc(provider.Collectors, func(c collectors.Collector) bool { return c.Spec().Name != yearCollector })
	options, err := wire(b.Context(), file, []agent.Provider{provider}, evidence.EventStarted, zap.NewNop(), metrics)
	check(b, err)
	options.Clock, options.Settle, options.Prompt, options.Files = clock, true, true, unsynced{}
	options.OnTask = func(r agent.Result) {
		if r.Err != nil || r.Run.Outcome != evidence.Complete {
			b.Errorf("task %s: %s %+v: %v", r.ID(), r.Run.Outcome, r.Run.Gaps, r.Err)
		}
	}
	a, err := agent.Open(b.Context(), options)
	check(b, err)
	check(b, errors.Join(a.RunUntil(b.Context(), yearSlot(1).Add(time.Hour)), a.Close(b.Context(), "done")))
}

// unsynced writes without flushing: the estate is made faster, and what it is
// made of is the same.
type unsynced struct{ durable.Disk }

type unsyncedFile struct{ durable.Handle }

func (unsynced) SyncDir(string) error { return nil }
func (unsyncedFile) Sync() error      { return nil }
func (u unsynced) CreateTemp(dir string) (durable.Handle, error) {
	h, err := u.Disk.CreateTemp(dir)
	return unsyncedFile{h}, err
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// yearHoles finds what differs from day to day in exchanges and observations.
var yearHoles = regexp.MustCompile(`"startedDateTime":"([^"]+)"|"Date","value":"([^"]+)"|(` + yearRequestID + `)|"X-Amz-Id-2","value":"([^"]+)"|` +
	`"Amz-Sdk-Invocation-Id","value":"([^"]+)"|"hash":"([0-9a-f]{12})"|REDACTED-([0-9a-f]{12})|"X-Amz-Date","value":"([^"]+)"|` +
	`"(?:time|wait)":(0)[,}]|(` + yearRevision + `)|"_sha256":"([0-9a-f]{64})"|(\n)`)

// The groups of yearHoles.
const (
	_ = iota
	holeStarted
	holeDate
	holeRequestID
	holeID2
	holeInvocation
	holeHash
	holeRedacted
	holeSigned
	holeTime
	holeRevision
	holeDigest
	holeEnd
)

// template is a payload with holes.
type template struct {
	text  []byte
	holes []hole
}

type hole struct {
	from, to, what int
	bucket         int // whose revision it is about, or -1: keep the digest
}

var yearBucket = regexp.MustCompile(`bucket-(\d{3})`)

func newTemplate(text []byte) *template {
	t := &template{text: text}
	for _, m := range yearHoles.FindAllSubmatchIndex(text, -1) {
		for what := 1; what <= holeEnd; what++ {
			if m[2*what] < 0 {
				continue
			}
			h := hole{from: m[2*what], to: m[2*what+1], what: what, bucket: -1}
			if what == holeRevision || what == holeDigest {
				line, _, _ := bytes.Cut(text[bytes.LastIndexByte(text[:h.from], '\n')+1:], []byte("\n"))
				if name := yearBucket.FindSubmatch(line); name != nil && bytes.Contains(line, []byte(yearRevision)) {
					h.bucket, _ = strconv.Atoi(string(name[1])) // it matched digits
				}
			}
			t.holes = append(t.holes, h)
		}
	}
	return t
}

// fill appends the payload of a task that began at some time.
func (t *template) fill(out []byte, began time.Time, revisions *[yearBuckets]int, r *rand.Rand) []byte {
	random := func(n int) []byte {
		raw := make([]byte, n)
		for i := range raw {
			raw[i] = byte(r.Uint32())
		}
		return raw
	}
	at, from, id, redaction := began, 0, "", ""
	next := func() {
		at = at.Add(time.Duration(r.IntN(4e6)))
		id, redaction = strings.ToUpper(hex.EncodeToString(random(8))), hex.EncodeToString(random(6))
	}
	next()
	for _, h := range t.holes {
		out = append(out, t.text[from:h.from]...)
		from = h.to
		switch h.what {
		case holeStarted:
			out = at.AppendFormat(out, time.RFC3339Nano)
		case holeDate:
			out = at.AppendFormat(out, http.TimeFormat)
		case holeSigned:
			out = at.AppendFormat(out, "20060102T150405Z")
		case holeRequestID:
			out = append(out, id...)
		case holeHash, holeRedacted:
			out = append(out, redaction...)
		case holeID2:
			out = base64.StdEncoding.AppendEncode(out, random(57))
		case holeInvocation:
			u := random(16)
			out = fmt.Appendf(out, "%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
		case holeTime:
			out = fmt.Appendf(out, "%.3f", 12+40*r.Float64())
		case holeRevision:
			out = fmt.Appendf(out, "rev-%04d", revisions[h.bucket])
		case holeDigest:
			if h.bucket < 0 {
				out = append(out, t.text[h.from:h.to]...)
				continue
			}
			sum := sha256.Sum256([]byte(yearTags(fmt.Sprintf("rev-%04d", revisions[h.bucket]))))
			out = hex.AppendEncode(out, sum[:])
		case holeEnd:
			out = append(out, '\n')
			next()
		}
	}
	return append(out, t.text[from:]...)
}
