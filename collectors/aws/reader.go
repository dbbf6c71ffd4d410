package aws

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	smithy "github.com/aws/smithy-go"

	"github.com/tallystick/tallystick/collectors"
	"github.com/tallystick/tallystick/evidence"
)

// reader is what a collector reads one region with.
type reader struct {
	*task
	config    aws.Config // for this account and region, over the captured transport
	region    string     // empty for a global collector
	first     bool       // the first region of the task: account-wide facts are emitted there
	pathStyle bool       // S3 must address buckets by path

	guard
	pending sync.WaitGroup // resources whose detail is being read
}

// arn makes an ARN in this account and region.
func (r *reader) arn(service, resource string) string {
	return fmt.Sprintf("arn:%s:%s:%s:%s:%s", r.partition, service, r.region, r.account, resource)
}

// listed says that the list of kind was read to its end here. It must be
// called only after the last page was read; it waits for nothing.
func (r *reader) listed(kind string) { r.emit.Listed(kind, r.region) }

// page is one answer, of a list or of a call for a detail. It is encoded when a
// part of it is asked for: a page of a thousand resources is many times its size
// when all of it is encoded at once.
type page struct {
	exchange  string
	service   string
	operation string
	out       reflect.Value // the operation's output, a struct; invalid for a page that is not an answer
	received  *node         // the document that it was read from, where that must vouch for a value
}

// page gives an answer. The items of a field keep the order of the SDK's slice.
func (r *reader) page(out any) page {
	a := answerOf(out)
	v := reflect.Indirect(reflect.ValueOf(out))
	return page{exchange: a.exchange, service: a.service, operation: a.operation, out: v, received: vouching(v, a.body)}
}

// field encodes one field of the answer. It gives false for one that was not sent.
func (p page) field(name string) (any, bool) {
	if p.out.Kind() != reflect.Struct {
		return nil, false
	}
	v := p.out.FieldByName(name)
	if !v.IsValid() {
		return nil, false
	}
	return encodeField(v, p.received.field(name))
}

// body encodes the whole answer.
func (p page) body() map[string]any { return encodeStruct(p.out, p.received) }

// item encodes element i of a list field, as the start of a body.
func (p page) item(field string, i int) map[string]any {
	if p.out.Kind() != reflect.Struct {
		return map[string]any{}
	}
	list := p.out.FieldByName(field)
	if list.Kind() != reflect.Slice || i >= list.Len() {
		return map[string]any{}
	}
	v, _ := encode(list.Index(i), p.received.field(field).item(i))
	if m, ok := v.(map[string]any); ok {
		return m
	}
	return map[string]any{field: v}
}

// within gives element i of a list field as a page of its own.
func (p page) within(field string, i int) page {
	p.out, p.received = p.out.FieldByName(field).Index(i), p.received.field(field).item(i)
	return p
}

// resource starts an observation from a page. Body may be nil.
func (r *reader) resource(kind, id string, from page, body map[string]any) *resource {
	if body == nil {
		body = make(map[string]any)
	}
	o := &resource{reader: r, kind: kind, id: id, region: r.region, body: body}
	o.source(from.exchange)
	return o
}

// each reads the detail of one resource beside others, bounded by the task's
// in-flight limit. The first error ends the list: the collector sees it at its
// next each or at its end.
func (r *reader) each(ctx context.Context, detail func() error) error {
	if err := r.failed(); err != nil {
		return err
	}
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	r.pending.Go(func() {
		defer func() { <-r.slots }()
		if err := r.safely(detail); err != nil {
			r.fail(err)
		}
	})
	return nil
}

// safely turns a panic into an error that ends the task. In a goroutine it would
// take the daemon down.
func (r *reader) safely(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errRunner{fmt.Errorf("collector %s panicked: %v", r.spec.Name, p)}
		}
	}()
	return do()
}

// resource is one resource being put together. It belongs to one goroutine.
type resource struct {
	reader  *reader
	kind    string
	id      string
	region  string
	body    map[string]any
	sources []string
	gaps    []evidence.Gap
	gone    bool
	as      evidence.Observation // carries AsOf
}

func (o *resource) source(exchange string) {
	if exchange != "" && !slices.Contains(o.sources, exchange) {
		o.sources = append(o.sources, exchange)
	}
}

// set puts the answer of a call into the field that the spec declares for it.
// A failed call leaves a gap for that field, unless the error is one of the
// declared answers. When the resource turns out to be gone, set does nothing
// from then on.
func (o *resource) set(operation string, out any, err error) {
	call, ok := o.call(operation)
	if !ok {
		return
	}
	if err != nil {
		o.failed(call, err)
		return
	}
	a := answerOf(out)
	o.source(a.exchange)
	if v, ok := encodeAnswer(out, a.body); ok {
		o.body[call.Field] = v
	}
}

// setMember is set for an answer that wraps what the field holds in a member.
// An answer without the member leaves the field absent.
func (o *resource) setMember(operation, member string, out any, err error) {
	call, ok := o.call(operation)
	if !ok {
		return
	}
	if err != nil {
		o.failed(call, err)
		return
	}
	p := o.reader.page(out)
	o.source(p.exchange)
	if v, ok := p.field(member); ok {
		o.body[call.Field] = v
	}
}

// setPages puts a list that comes in pages into the field that the spec
// declares for it: the member of every page. Next reads a page and says
// whether there are more. A page that is lost leaves a gap for the whole field.
func (o *resource) setPages(operation, member string, next func() (out any, more bool, err error)) {
	call, ok := o.call(operation)
	if !ok {
		return
	}
	all := []any{}
	for more := true; more; {
		var out any
		var err error
		var p page
		if out, more, err = next(); err == nil {
			p = o.reader.page(out)
			err = p.whole(more)
		}
		if err != nil {
			o.failed(call, err)
			return
		}
		o.source(p.exchange)
		v, _ := p.field(member)
		items, _ := v.([]any)
		all = append(all, items...)
	}
	o.body[call.Field] = all
}

// call finds the declared call that fills a field. It gives false when nothing
// is to be set.
func (o *resource) call(operation string) (collectors.Call, bool) {
	call, declared := o.reader.spec.Call(operation)
	if !declared || call.Field == "" {
		o.reader.fail(errRunner{fmt.Errorf("collector %s makes the call %s without declaring a field for it", o.reader.spec.Name, operation)})
		return collectors.Call{}, false
	}
	return call, !o.gone
}

// failed notes what the error of a call says: an answer, a resource that is
// gone, or a gap.
func (o *resource) failed(call collectors.Call, err error) {
	class, code, message := failure(err)
	switch {
	case hasCode(err, call.Absent):
		o.source(exchangeOf(err))
		o.body[call.Field] = nil
	case hasCode(err, call.Vanished):
		o.gone = true
	default:
		o.gaps = append(o.gaps, evidence.Gap{
			Kind: o.kind, Region: o.region, Resource: o.id, Field: call.Field,
			Operation: call.Operation, Permission: call.Needs(), Class: class, Code: code, Message: message,
			Policy: refusedBy(message),
		})
	}
}

func hasCode(err error, codes []string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && slices.Contains(codes, api.ErrorCode())
}

// emit hands the resource over, and its gaps.
func (o *resource) emit(ctx context.Context) error {
	if ctx.Err() != nil {
		// Reads that failed because the task was stopped say nothing of the provider.
		return context.Cause(ctx)
	}
	if o.gone {
		o.reader.task.emit.Vanished(o.kind, o.region, o.id)
		return nil
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // "<root_account>" is to be read by people
	if err := encoder.Encode(o.body); err != nil {
		return errRunner{fmt.Errorf("encode %s %s: %w", o.kind, o.id, err)}
	}
	slices.Sort(o.sources)
	for _, g := range o.gaps {
		o.reader.task.emit.Gap(g)
	}
	if o.sources == nil {
		o.sources = []string{}
	}
	obs := evidence.Observation{Kind: o.kind, ID: o.id, Region: o.region, AsOf: o.as.AsOf, Body: bytes.TrimSpace(body.Bytes()), Sources: o.sources}
	if err := o.reader.task.emit.Observe(obs); err != nil {
		return errRunner{err}
	}
	return nil
}

// splitARN gives the six parts of an ARN, or nil.
func splitARN(arn string) []string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return nil
	}
	return parts
}
