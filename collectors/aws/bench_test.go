package aws_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/collectors/aws"
	"github.com/tallystick/tallystick/evidence"
	"github.com/tallystick/tallystick/evidence/payload"
	"github.com/tallystick/tallystick/internal/capture"
)

// The estate of the benchmark.
const (
	benchAccount  = "111122223333"
	benchBuckets  = 500
	benchInFlight = 64
	benchLatency  = 50 * time.Millisecond
)

// benchAnswers are what S3 answers to each call on a bucket.
// Source: the Amazon S3 API reference.
func benchAnswers() map[string]string {
	const head = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
	const ns = ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`
	return map[string]string{
		"encryption":        head + `<ServerSideEncryptionConfiguration` + ns + `><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>arn:aws:kms:us-east-1:111122223333:key/0ffe0000-1111-4222-8333-000000000001</KMSMasterKeyID></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>`,
		"versioning":        head + `<VersioningConfiguration` + ns + `><Status>Enabled</Status></VersioningConfiguration>`,
		"logging":           head + `<BucketLoggingStatus` + ns + `><LoggingEnabled><TargetBucket>example-access-logs</TargetBucket><TargetPrefix>s3/</TargetPrefix></LoggingEnabled></BucketLoggingStatus>`,
		"publicAccessBlock": head + `<PublicAccessBlockConfiguration` + ns + `><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>`,
		"policyStatus":      head + `<PolicyStatus` + ns + `><IsPublic>false</IsPublic></PolicyStatus>`,
		"policy":            `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::example-bucket","arn:aws:s3:::example-bucket/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`,
		"acl":               head + `<AccessControlPolicy` + ns + `><Owner><ID>ExampleCanonicalUserId1111</ID></Owner><AccessControlList><Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>ExampleCanonicalUserId1111</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>`,
		"object-lock":       head + `<ObjectLockConfiguration` + ns + `><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>`,
		"lifecycle":         head + `<LifecycleConfiguration` + ns + `><Rule><ID>expire</ID><Filter><Prefix>tmp/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>400</Days></Expiration></Rule></LifecycleConfiguration>`,
		"tagging":           head + `<Tagging` + ns + `><TagSet><Tag><Key>data</Key><Value>customer</Value></Tag></TagSet></Tagging>`,
	}
}

func benchBucket(i int) string { return fmt.Sprintf("example-bucket-%03d", i) }

// benchHandler answers STS and S3, each request after the latency.
func benchHandler() http.Handler {
	answers := benchAnswers()
	var list strings.Builder
	list.WriteString(`<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Buckets>`)
	for i := range benchBuckets {
		fmt.Fprintf(&list, `<Bucket><Name>%s</Name><CreationDate>2025-02-03T04:05:06.000Z</CreationDate><BucketRegion>us-east-1</BucketRegion></Bucket>`, benchBucket(i))
	}
	list.WriteString(`</Buckets></ListAllMyBucketsResult>`)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(benchLatency)
		w.Header().Set("Content-Type", "application/xml")
		w.Header().Set("X-Amz-Request-Id", fmt.Sprintf("%016X", time.Now().UnixNano()))
		w.Header().Set("X-Amz-Id-2", "bXktcmVxdWVzdC1pZC1leGFtcGxlLW9mLXNldmVudHktc2l4LWNoYXJhY3RlcnMtYXMtczMtc2VuZHM=")
		switch {
		case r.Method == http.MethodPost:
			_, _ = io.WriteString(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::`+benchAccount+`:role/bench</Arn><Account>`+benchAccount+`</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
		case r.URL.Path == "/":
			_, _ = io.WriteString(w, list.String())
		default:
			for call, answer := range answers {
				if r.URL.Query().Has(call) {
					_, _ = io.WriteString(w, answer)
				}
			}
		}
	})
}

// TestBenchServer is the server of BenchmarkS3Buckets, in a process of its own
// so that its processor time is not counted. It ends with its standard input.
func TestBenchServer(t *testing.T) {
	if os.Getenv("TALLYSTICK_BENCH_SERVER") == "" {
		t.Skip("only BenchmarkS3Buckets starts it")
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: benchHandler(), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	fmt.Fprintln(os.Stderr, "http://"+listener.Addr().String())
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = server.Close()
}

func benchServer(b *testing.B) (url string) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^TestBenchServer$")
	cmd.Env = append(os.Environ(), "TALLYSTICK_BENCH_SERVER=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// BenchmarkS3Buckets compares the collector, with its exchanges and
// observations going into a payload store, with a bare program that makes the
// same calls through the same SDK, connections and concurrency. Both run in
// turn within one measurement. The metrics:
//
//	ideal-s       calls × latency ÷ concurrency
//	bare-s        wall time of the bare calls
//	collector-s   wall time of the collector, payloads durable
//	wall-ratio    collector-s ÷ bare-s
//	cpu-ratio     the same for processor time, user and system
//	answer-bytes  bodies of the answers as they crossed the wire
//	har-bytes     exchanges as HAR, before compression
//	disk-bytes    payload files: exchanges and observations
//	disk/har-%    disk-bytes ÷ har-bytes
func BenchmarkS3Buckets(b *testing.B) {
	url := benchServer(b)
	b.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	b.Setenv("AWS_CONFIG_FILE", filepath.Join(b.TempDir(), "none"))
	b.Setenv("AWS_ENDPOINT_URL", url)
	b.Setenv("AWS_PROFILE", "")
	b.Setenv("AWS_ACCESS_KEY_ID", "test")
	b.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	keys := credentials.NewStaticCredentialsProvider("test", "test", "")
	e, err := aws.New(b.Context(), aws.Settings{Accounts: []aws.Account{{ID: benchAccount}}, InFlight: benchInFlight})
	if err != nil {
		b.Fatal(err)
	}
	client := s3.New(s3.Options{
		Region: "us-east-1", Credentials: keys, BaseEndpoint: &url, UsePathStyle: true,
		HTTPClient: &http.Client{Transport: e.Transport()},
	})
	if err := bareBuckets(b.Context(), client, benchInFlight); err != nil { // opens the connections
		b.Fatal(err)
	}

	var bare, ours cost
	var sum kept
	for b.Loop() {
		bare.add(b, func() error { return bareBuckets(b.Context(), client, benchBuckets) })
		ours.add(b, func() error {
			sum, err = keptBuckets(b.Context(), e, b.TempDir())
			return err
		})
	}
	n := float64(b.N)
	calls := float64(benchBuckets*len(benchAnswers()) + 1)
	b.ReportMetric(calls*benchLatency.Seconds()/benchInFlight, "ideal-s")
	b.ReportMetric(bare.wall.Seconds()/n, "bare-s")
	b.ReportMetric(ours.wall.Seconds()/n, "collector-s")
	b.ReportMetric(ours.wall.Seconds()/bare.wall.Seconds(), "wall-ratio")
	b.ReportMetric(ours.cpu.Seconds()/bare.cpu.Seconds(), "cpu-ratio")
	b.ReportMetric(float64(sum.answers), "answer-bytes")
	b.ReportMetric(float64(sum.har), "har-bytes")
	b.ReportMetric(float64(sum.disk), "disk-bytes")
	b.ReportMetric(100*float64(sum.disk)/float64(sum.har), "disk/har-%")
}

// cost is what something took.
type cost struct{ wall, cpu time.Duration }

func (c *cost) add(b *testing.B, run func() error) {
	b.Helper()
	began, before := time.Now(), processorTime(b)
	if err := run(); err != nil {
		b.Fatal(err)
	}
	c.wall += time.Since(began)
	c.cpu += processorTime(b) - before
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// bareBuckets makes the collector's calls for the first n buckets and throws
// the answers away.
func bareBuckets(ctx context.Context, client *s3.Client, n int) error {
	out, err := client.ListBuckets(ctx, &s3.ListBucketsInput{MaxBuckets: sdk.Int32(1000)})
	if err != nil {
		return err
	}
	if len(out.Buckets) != benchBuckets {
		return fmt.Errorf("the server lists %d buckets", len(out.Buckets))
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(benchInFlight)
	for _, bucket := range out.Buckets[:n] {
		group.Go(func() error { return bareBucket(ctx, client, bucket.Name) })
	}
	return group.Wait()
}

func bareBucket(ctx context.Context, client *s3.Client, name *string) (err error) {
	for _, call := range []func() error{
		func() error {
			_, err := client.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: name})
			return err
		},
		func() error {
			_, err := client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: name})
			return err
		},
		func() error {
			_, err := client.GetBucketLogging(ctx, &s3.GetBucketLoggingInput{Bucket: name})
			return err
		},
		func() error {
			_, err := client.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: name})
			return err
		},
		func() error {
			_, err := client.GetBucketPolicyStatus(ctx, &s3.GetBucketPolicyStatusInput{Bucket: name})
			return err
		},
		func() error {
			_, err := client.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: name})
			return err
		},
		func() error {
			_, err := client.GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: name})
			return err
		},
		func() error {
			_, err := client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: name})
			return err
		},
		func() error {
			_, err := client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: name})
			return err
		},
		func() error {
			_, err := client.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: name})
			return err
		},
	} {
		if err := call(); err != nil {
			return err
		}
	}
	return nil
}

// kept is how much a run of the collector left.
type kept struct{ answers, har, disk int64 }

// keptBuckets runs the collector as the agent does: exchanges into a payload
// store while they come, observations at the end.
func keptBuckets(ctx context.Context, e *aws.Estate, dir string) (kept, error) {
	store, err := payload.Open(dir)
	if err != nil {
		return kept{}, err
	}
	recorder := capture.NewRecorder(capture.Options{
		Create: func() (capture.Sink, error) {
			w, err := store.Create()
			return stored{w}, err
		},
		Describe: aws.Describe,
	})
	got := &seen{listed: map[string]bool{}}
	if err := s3Collector(e).Collect(ctx, collectors.Input{
		Scope:    evidence.Scope{Provider: aws.Provider, Account: benchAccount},
		Captured: recorder.Transport(e.Transport()),
		InFlight: benchInFlight,
	}, got); err != nil {
		return kept{}, err
	}
	summary, err := recorder.Close()
	if err != nil {
		return kept{}, err
	}
	if len(got.observations) != benchBuckets || len(got.gaps) > 0 {
		return kept{}, fmt.Errorf("%d buckets observed, gaps %v", len(got.observations), got.gaps)
	}
	got.sort()
	w, err := store.Create()
	if err != nil {
		return kept{}, err
	}
	encoder := json.NewEncoder(w)
	for _, o := range got.observations {
		if err := encoder.Encode(o); err != nil {
			return kept{}, err
		}
	}
	if _, _, err := w.Commit(); err != nil {
		return kept{}, err
	}
	disk, err := bytesUnder(dir)
	return kept{answers: summary.Received, har: summary.Bytes, disk: disk}, err
}

func s3Collector(e *aws.Estate) collectors.Collector {
	for _, c := range aws.Catalogue(e) {
		if c.Spec().Name == "aws.s3_buckets" {
			return c
		}
	}
	return nil
}

// stored is a file of exchanges in a payload store.
type stored struct{ *payload.Writer }

func (s stored) Abort() { _ = s.Writer.Abort() }

func bytesUnder(dir string) (total int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return total, err
}
