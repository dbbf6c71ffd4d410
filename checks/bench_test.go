package checks

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"sync"
	"testing"

	"github.com/tallystick/tallystick/evidence"
)

// volumeBody is about what DescribeVolumes sends for one volume.
const volumeBody = `{"Attachments":[{"AttachTime":"2026-01-05T10:11:12Z","DeleteOnTermination":true,"Device":"/dev/xvda",` +
	`"InstanceId":"i-0123456789abcdef0","State":"attached","VolumeId":"vol-0123456789abcdef0"}],"AvailabilityZone":"eu-west-1a",` +
	`"CreateTime":"2026-01-05T10:11:12.123Z","Encrypted":true,"Iops":3000,"KmsKeyId":"arn:aws:kms:eu-west-1:111122223333:key/1",` +
	`"MultiAttachEnabled":false,"Size":100,"SnapshotId":"snap-0123456789abcdef0","State":"in-use","Tags":[{"Key":"Name","Value":"a"}],` +
	`"Throughput":125,"VolumeId":"vol-0123456789abcdef0","VolumeType":"gp3"}`

const volumeCheck = `  - id: %s
    title: The volume is encrypted
    provider: aws
    kinds: [aws.ec2.volume]
    not_applicable:
      - {when: "resource.State in ['deleting', 'deleted']", reason: "the volume is {resource.State}"}
    pass: resource.Encrypted == true
    messages: {pass: the volume is encrypted, fail: the volume is not encrypted}
    remediation: x
    documentation: https://example.com/
`

func volumes(n int) iter.Seq2[evidence.Observation, error] {
	list := make([]evidence.Observation, n)
	for i := range list {
		list[i] = thing("aws.ec2.volume", fmt.Sprintf("eu-west-1/arn:aws:ec2:eu-west-1:111122223333:volume/vol-%017d", i), volumeBody)
	}
	return yieldAll(list)
}

// BenchmarkEvaluate counts verdicts per second on one core; the budget is
// 200,000 for simple checks.
func BenchmarkEvaluate(b *testing.B) {
	join := `  - id: joined
    title: The volume has a key of its account
    provider: aws
    kinds: [aws.ec2.volume]
    joins: [{name: key, kind: aws.kms.key, field: KeyArn, equals: resource.KmsKeyId}]
    pass: key != null && key.Enabled
    messages: {pass: "key {key.KeyArn}", fail: no key}
    remediation: x
    documentation: https://example.com/
`
	for name, checks := range map[string]string{
		"one check":   fmt.Sprintf(volumeCheck, "encrypted"),
		"four checks": fmt.Sprintf(volumeCheck, "e1") + fmt.Sprintf(volumeCheck, "e2") + fmt.Sprintf(volumeCheck, "e3") + fmt.Sprintf(volumeCheck, "e4"),
		"a join":      join,
	} {
		b.Run(name, func(b *testing.B) {
			c := load(b, control(checks))
			in := Input{Scope: evidence.Scope{Provider: "aws", Account: "111122223333"}, Now: exampleNow(), Kinds: map[string]Facts{
				"aws.ec2.volume": {Observations: volumes(10_000)},
				"aws.kms.key":    {Observations: yieldAll([]evidence.Observation{thing("aws.kms.key", "eu-west-1/k", `{"KeyArn":"arn:aws:kms:eu-west-1:111122223333:key/1","Enabled":true}`)})},
			}}
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Evaluate(context.Background(), in, nil, func(v evidence.Verdict) error {
					if v.Status != evidence.Pass {
						b.Fatal(v)
					}
					n++
					return nil
				}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "verdicts/s")
		})
	}
}

// The same facts give the same bytes, from several goroutines at once.
func TestEvaluateDeterministic(t *testing.T) {
	c := load(t, control(boxCheck("box-shut", "resource.Shut && lids.exists(l, l.A && l.B)",
		"    joins: [{name: lids, kind: aws.lid, many: true}]")))
	var observations []evidence.Observation
	var gaps []evidence.Gap
	for i := range 20 {
		id := fmt.Sprintf("%02d", i)
		observations = append(observations, box("/"+id, `{"Name":"x"}`), thing("aws.lid", "/"+id, `{}`))
		gaps = append(gaps, gap("aws.box", "", id, "Shut"), gap("aws.lid", "", id, "A"), gap("aws.lid", "", id, "B"))
	}
	kinds := with(facts(observations...), gaps...)
	want, err := json.Marshal(evaluate(t, c, kinds))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				got, err := tryEvaluate(c, Input{Kinds: kinds}, nil)
				if err != nil {
					t.Error(err)
				}
				if data, err := json.Marshal(got); err != nil || !bytes.Equal(data, want) {
					t.Errorf("got (%v)\n%s\nwant\n%s", err, data, want)
				}
			}
		})
	}
	wg.Wait()
}

// The text of messages is what was seen, made safe and short.
func TestText(t *testing.T) {
	c := load(t, control(`  - id: box-shut
    title: x
    provider: aws
    kinds: [aws.box]
    pass: "true"
    messages:
      pass: "{resource.Name}; {resource.List}; {resource.Nothing}; {resource.Missing}; {timestamp(resource.At)}; {now - timestamp(resource.At)}; {1 + 1}; {resource.List.filter(x, false)}"
      fail: x
    remediation: x
    documentation: https://example.com/
`))
	v := evaluate(t, c, facts(box("/a", `{"Name":"a\u0000\n\u202eb","List":["x",1],"Nothing":null,"At":"2026-07-01T05:00:00+00:00"}`)))[0]
	want := "a   b; x, 1; none; (not given); 2026-07-01T05:00:00Z; 1h0m0s; 2; none"
	if v.Reason != want {
		t.Errorf("got  %q\nwant %q", v.Reason, want)
	}
	long := evaluate(t, c, facts(box("/a", `{"Name":"`+string(bytes.Repeat([]byte("é"), 5000))+`","List":[]}`)))[0]
	if n := len([]rune(long.Reason)); n > 400 {
		t.Errorf("a reason of %d runes", n)
	}
}
