package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// This file is the server of BenchmarkLarge: the protocols of AWS, paging, the
// latency and the counting. What there is in the estate is in
// e2e_large_estate_test.go.

// largeLatency is what each answer takes, beside its making.
const largeLatency = 50 * time.Millisecond

// largeRequest is one call.
type largeRequest struct {
	service, region string
	op              string // "ec2:DescribeVolumes"
	params          map[string]string
	protocol        largeProtocol
}

type largeProtocol int

const (
	queryProtocol largeProtocol = iota // IAM, STS, RDS, SNS, ELB: XML in a result
	ec2Protocol                        // XML without
	jsonProtocol                       // the operation in X-Amz-Target, or REST with JSON
	s3Protocol                         // REST with XML
)

// readLarge tells what is asked. Region and service are those that the call is
// signed for.
func readLarge(r *http.Request, body []byte) largeRequest {
	q := largeRequest{params: make(map[string]string)}
	_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if parts := strings.Split(scope, "/"); len(parts) > 3 {
		q.region, q.service = parts[2], parts[3]
	}
	form := r.URL.Query()
	switch target := r.Header.Get("X-Amz-Target"); {
	case target != "":
		q.protocol = jsonProtocol
		q.op = q.service + ":" + target[strings.LastIndex(target, ".")+1:]
	case strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		form, _ = url.ParseQuery(string(body))
		q.op = q.service + ":" + form.Get("Action")
		if q.service == "ec2" {
			q.protocol = ec2Protocol
		}
	default:
		q.op, q.protocol = largeREST(q, r, form)
	}
	for name := range form {
		q.params[name] = form.Get(name)
	}
	var fields map[string]any
	if q.protocol == jsonProtocol && json.Unmarshal(body, &fields) == nil {
		for name, v := range fields {
			q.params[name] = fmt.Sprint(v)
		}
	}
	return q
}

// largeREST names the operation of a REST call by its path. One that it does
// not know has the path for a name.
func largeREST(q largeRequest, r *http.Request, form url.Values) (string, largeProtocol) {
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if q.service == "s3" {
		if path[0] == "" {
			return "s3:ListBuckets", s3Protocol
		}
		q.params["Bucket"] = path[0]
		for name, op := range largeBucketCalls() {
			if form.Has(name) {
				return "s3:" + op, s3Protocol
			}
		}
		return "s3control:" + path[len(path)-1], s3Protocol
	}
	for _, rest := range largeRESTPaths() {
		parts := strings.Split(rest.path, "/")
		same := len(parts) == len(path)
		for i := 0; same && i < len(parts); i++ {
			same = parts[i] == path[i] || parts[i] == "*"
		}
		if same && strings.HasPrefix(rest.op, q.service+":") {
			q.params["id"] = path[min(1+strings.Count(rest.path, "backup/"), len(path)-1)]
			return rest.op, jsonProtocol
		}
	}
	return q.service + ":" + r.Method + " " + r.URL.Path, jsonProtocol
}

// number gives the first of the parameters that is there.
func (q largeRequest) number(names ...string) int {
	for _, name := range names {
		if n, err := strconv.Atoi(q.params[name]); err == nil {
			return n
		}
	}
	return 0
}

// value gives what stands for a name in a template: a parameter of the request,
// or something that depends on it alone.
func (q largeRequest) value(name string) string {
	if v, ok := q.params[name]; ok {
		return v
	}
	if of, ok := strings.CutPrefix(name, "tail:"); ok { // what comes after "TYPE/" in an ARN
		_, tail, _ := strings.Cut(q.params[of][strings.LastIndex(q.params[of], ":")+1:], "/")
		return tail
	}
	h := fnv.New64a()
	for _, param := range []string{"id", "Bucket", "KeyId", "CertificateArn", "TableName", "ResourceArn", "UserName", "LoadBalancerArn", "ListenerArn"} {
		_, _ = io.WriteString(h, q.params[param]) // never fails
	}
	return largeValue(name, q.region, int(h.Sum64()%1_000_000))
}

// fill fills a template, in which names stand between two @. Two together are one.
func fill(b *strings.Builder, template string, value func(name string) string) {
	for i, part := range strings.Split(template, "@") {
		if i%2 == 1 {
			if part == "" {
				part = "@"
			} else {
				part = value(part)
			}
		}
		b.WriteString(part)
	}
}

// largeServer answers calls and counts them.
type largeServer struct {
	mu    sync.Mutex
	calls map[string]*largeCalls // guarded by mu; by operation
	seen  map[uint64]bool        // guarded by mu; requests, by a hash of what is asked
	bytes int64                  // guarded by mu; of answers
}

// largeCalls are the calls of one operation.
type largeCalls struct {
	Made, Again int // Again: the same question as before
}

// largeCounts is what the server tells at its end.
type largeCounts struct {
	Calls map[string]*largeCalls
	Bytes int64
}

func (s *largeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went
	}
	q := readLarge(r, body)
	answer, contentType := q.answer()
	s.count(q, r, body, len(answer))
	time.Sleep(largeLatency - time.Since(began))
	w.Header().Set("Content-Type", contentType)
	id := largeHash(q.op, int(began.UnixNano()))
	w.Header().Set("X-Amzn-Requestid", fmt.Sprintf("%08x-%04x-4000-8000-%012x", uint32(id), uint16(id>>32), id>>16))
	if q.protocol == s3Protocol {
		w.Header().Set("X-Amz-Id-2", fmt.Sprintf("%064x", id))
	}
	_, _ = io.WriteString(w, answer) // a client that went needs no answer
}

func (s *largeServer) count(q largeRequest, r *http.Request, body []byte, size int) {
	h := fnv.New64a()
	for _, part := range []string{q.op, q.region, r.URL.RequestURI(), string(body)} {
		_, _ = io.WriteString(h, part) // never fails
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.calls[q.op]
	if c == nil {
		c = new(largeCalls)
		s.calls[q.op] = c
	}
	c.Made++
	if s.seen[h.Sum64()] {
		c.Again++
	}
	s.seen[h.Sum64()] = true
	s.bytes += int64(size)
}

// answer gives the body. What the estate has nothing of is an empty answer,
// which reads as an empty list.
func (q largeRequest) answer() (body, contentType string) {
	var b strings.Builder
	_, action, _ := strings.Cut(q.op, ":")
	switch q.protocol {
	case s3Protocol:
		contentType = "application/xml"
		b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
		if q.op == "s3:GetBucketPolicy" {
			contentType = "application/json"
			b.Reset()
		}
		q.write(&b)
	case jsonProtocol:
		contentType = "application/x-amz-json-1.1"
		b.WriteString("{")
		q.write(&b)
		b.WriteString("}")
	case ec2Protocol:
		contentType = "text/xml;charset=UTF-8"
		fmt.Fprintf(&b, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+`<%sResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>01234567-89ab-cdef-0123-456789abcdef</requestId>`, action)
		q.write(&b)
		fmt.Fprintf(&b, `</%sResponse>`, action)
	case queryProtocol:
		contentType = "text/xml"
		fmt.Fprintf(&b, `<%sResponse xmlns="https://%s.amazonaws.com/doc/"><%sResult>`, action, q.service, action)
		q.write(&b)
		fmt.Fprintf(&b, `</%sResult><ResponseMetadata><RequestId>01234567-89ab-cdef-0123-456789abcdef</RequestId></ResponseMetadata></%sResponse>`, action, action)
	}
	return b.String(), contentType
}

// write writes what is in the answer of an operation.
func (q largeRequest) write(b *strings.Builder) {
	switch q.op {
	case "iam:GetAccountAuthorizationDetails":
		q.writeDetails(b)
		return
	case "s3:ListBuckets":
		q.writeBuckets(b)
		return
	case "iam:GetCredentialReport":
		writeReport(b)
		return
	}
	for _, l := range largeLists() {
		if l.op == q.op && q.params["RestorableBy.1"]+q.params["SnapshotType"] == "" {
			q.writeList(b, l)
			return
		}
	}
	fill(b, largeAnswers()[q.op], q.value)
}

// page gives the part of a list of n that is asked for, and the token for the
// next one.
func (q largeRequest) page(n, most int) (from, to int, next string) {
	size := q.number("MaxResults", "maxResults", "MaxItems", "MaxRecords", "PageSize", "Limit", "limit", "max-buckets")
	size = min(cmp.Or(size, most), most)
	from = q.number("NextToken", "nextToken", "Marker", "continuation-token", "ExclusiveStartTableName")
	to = min(from+size, n)
	if to < n {
		next = strconv.Itoa(to)
	}
	return from, to, next
}

func (q largeRequest) writeList(b *strings.Builder, l largeList) {
	from, to, next := q.page(largeCount(l.of, q.region), l.most)
	json := q.protocol == jsonProtocol
	if json {
		fmt.Fprintf(b, `%q:[`, l.field)
	} else {
		fmt.Fprintf(b, `<%s>`, l.field)
	}
	for i := from; i < to; i++ {
		if json && i > from {
			b.WriteString(",")
		}
		fill(b, l.item, func(name string) string { return largeValue(name, q.region, i) })
	}
	switch {
	case json && next != "":
		fmt.Fprintf(b, `],%q:%q`, l.token, next)
	case json:
		b.WriteString("]")
	case next != "":
		fmt.Fprintf(b, `</%s><%s>%s</%s>`, l.field, l.token, next, l.token)
	default:
		fmt.Fprintf(b, `</%s>`, l.field)
	}
	switch {
	case json && l.truncated != "":
		fmt.Fprintf(b, `,%q:%t`, l.truncated, next != "")
	case l.truncated != "":
		fmt.Fprintf(b, `<%s>%t</%s>`, l.truncated, next != "", l.truncated)
	}
}

// TestLargeServer is the server, in a process of its own: its memory and its
// processor time are not the program's. It says where it is, ends with its
// standard input, and then says what it counted.
func TestLargeServer(t *testing.T) {
	if os.Getenv("TALLYSTICK_LARGE_SERVER") == "" {
		t.Skip("only BenchmarkLarge starts it")
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &largeServer{calls: make(map[string]*largeCalls), seen: make(map[uint64]bool)}
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	fmt.Fprintln(os.Stderr, "http://"+listener.Addr().String())
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = server.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := json.NewEncoder(os.Stderr).Encode(largeCounts{Calls: s.calls, Bytes: s.bytes}); err != nil {
		t.Fatal(err)
	}
}

// largeRegion gives the place of a region in the order of size.
func largeRegion(region string) int { return max(0, slices.Index(largeRegions(), region)) }
