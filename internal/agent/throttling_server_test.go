package agent

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// call is one request as it came to the server.
type call struct {
	account, region, service, operation string
	page                                string // the token that it asks with: "2"; "1" for what has no pages
	about                               string // the bucket or table
	attempt                             int
	at                                  time.Time
	since                               time.Duration // since the server was started
	refused                             bool
}

// portion says of a call whether it falls into a part of all calls that are
// alike but for their attempt. The part is the same each time.
func (c call) portion(percent uint32) bool {
	h := fnv.New32a()
	fmt.Fprint(h, "seed 7 ", c.account, c.region, c.operation, c.page, c.about, c.attempt)
	return h.Sum32()%100 < percent
}

// throttling is AWS, as far as the collectors of this test ask it, over HTTP on
// connections in memory: under a clock that leaps, what the server measures is
// what was sent, to the nanosecond. It refuses as it is told.
//
// Its estate is the same in each account. Lists come in pages of a few.
type throttling struct {
	refuse func(call) bool
	status int // of refusals; 0: that of the service

	listener *pipeListener
	server   *http.Server
	started  time.Time

	mu          sync.Mutex
	calls       []call         // guarded by mu, as is everything below
	now, most   int            // requests that are being answered
	connections map[string]int // that were opened, by host
}

// The estate of an account, and the pages in which it is listed.
const (
	answersIn                  = 40 * time.Millisecond
	volumes, volumesOnPage     = 22, 4 // in each region, as are snapshots and tables
	snapshots, snapshotsOnPage = 9, 3
	tables, tablesOnPage       = 20, 7
	buckets, bucketsOnPage     = 12, 3
)

func throttlingRegions() []string { return []string{"eu-west-1", "us-east-1"} }

func startThrottling(t *testing.T, refuse func(call) bool, status int) *throttling {
	t.Helper()
	s := &throttling{
		refuse: refuse, status: status, started: time.Now(), connections: make(map[string]int),
		listener: &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})},
	}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.server.Serve(s.listener) }() // ends with Close
	return s
}

// transport makes the connections of a client lead here.
func (s *throttling) transport(of *http.Transport) *http.Transport {
	of = of.Clone()
	of.Proxy = nil
	of.DialTLSContext = func(ctx context.Context, _, address string) (net.Conn, error) {
		s.mu.Lock()
		s.connections[address]++
		s.mu.Unlock()
		return s.listener.dial(ctx)
	}
	return of
}

// close ends the server and the connections of its client.
func (s *throttling) close(t *testing.T, client *http.Transport) {
	t.Helper()
	client.CloseIdleConnections()
	if err := s.server.Close(); err != nil {
		t.Error(err)
	}
}

func (s *throttling) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	c, err := s.read(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	c.at, c.since = time.Now(), time.Since(s.started)
	c.refused = s.refuse != nil && s.refuse(c)
	s.mu.Lock()
	s.calls = append(s.calls, c)
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	time.Sleep(answersIn)
	s.mu.Lock()
	s.now--
	s.mu.Unlock()
	if c.refused {
		s.throttle(w, c)
		return
	}
	status, body := answerTo(c)
	if strings.HasPrefix(body, "{") {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	} else {
		w.Header().Set("Content-Type", "text/xml")
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // a client that left needs no answer
}

// read tells what a request asks, as far as the protocols say.
func (s *throttling) read(req *http.Request) (call, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return call{}, err
	}
	_, credential, _ := strings.Cut(req.Header.Get("Authorization"), "Credential=")
	scope := strings.Split(credential, "/") // ACCOUNT/DATE/REGION/SERVICE/...
	if len(scope) < 5 {
		return call{}, fmt.Errorf("the request is not signed: %s", req.URL)
	}
	c := call{account: scope[0], region: scope[2], service: scope[3], page: "1", attempt: 1}
	if _, n, found := strings.Cut(req.Header.Get("Amz-Sdk-Request"), "attempt="); found {
		n, _, _ = strings.Cut(n, ";")
		if c.attempt, err = strconv.Atoi(n); err != nil {
			return call{}, err
		}
	}
	switch c.service {
	case "s3":
		c.about, _, _ = strings.Cut(req.Host, ".s3.")
		c.operation = "ListBuckets"
		if strings.HasPrefix(req.Host, "s3.") {
			c.about = ""
		} else {
			names := make([]string, 0, 1)
			for name := range req.URL.Query() {
				names = append(names, name)
			}
			slices.Sort(names)
			c.operation = strings.TrimSuffix(strings.Join(names, "+"), "+x-id")
		}
		if token := req.URL.Query().Get("continuation-token"); token != "" {
			c.page = token
		}
	case "dynamodb":
		var in struct{ TableName, ResourceArn, ExclusiveStartTableName string }
		if err := json.Unmarshal(body, &in); err != nil {
			return call{}, err
		}
		_, c.operation, _ = strings.Cut(req.Header.Get("X-Amz-Target"), ".")
		c.about = in.TableName + in.ResourceArn
		if in.ExclusiveStartTableName != "" {
			c.page = in.ExclusiveStartTableName
		}
	default:
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return call{}, err
		}
		c.operation = form.Get("Action")
		if token := form.Get("NextToken"); token != "" {
			c.page = token
		}
	}
	return c, nil
}

// throttle refuses a call as its service does.
// Source: "Common Errors" of the API references; "Error responses" of Amazon S3.
func (s *throttling) throttle(w http.ResponseWriter, c call) {
	status, code, form := http.StatusBadRequest, "Throttling", "<ErrorResponse><Error><Code>%s</Code><Message>Rate exceeded</Message></Error></ErrorResponse>"
	kind := "text/xml"
	switch c.service {
	case "ec2":
		status, code = http.StatusServiceUnavailable, "RequestLimitExceeded"
		form = "<Response><Errors><Error><Code>%s</Code><Message>Request limit exceeded.</Message></Error></Errors><RequestID>r</RequestID></Response>"
	case "s3":
		status, code = http.StatusServiceUnavailable, "SlowDown"
		form = "<Error><Code>%s</Code><Message>Please reduce your request rate.</Message></Error>"
	case "dynamodb":
		code, kind = "ThrottlingException", "application/x-amz-json-1.0"
		form = `{"__type":"com.amazon.coral.availability#%s","message":"Rate exceeded"}`
	}
	if s.status != 0 {
		status = s.status
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	fmt.Fprintf(w, form, code)
}

// answerTo gives the answer to a call that is not refused.
func answerTo(c call) (status int, body string) {
	switch c.operation {
	case "GetCallerIdentity":
		return query(c, "<Account>"+c.account+"</Account><Arn>arn:aws:iam::"+c.account+":user/reader</Arn><UserId>AIDAEXAMPLE</UserId>")
	case "GenerateCredentialReport":
		return query(c, "<State>COMPLETE</State>")
	case "GetCredentialReport":
		return query(c, "<Content>"+base64.StdEncoding.EncodeToString([]byte(credentialReport(c.account)))+
			"</Content><ReportFormat>text/csv</ReportFormat><GeneratedTime>2026-07-01T03:40:00Z</GeneratedTime>")
	case "DescribeRegions":
		list := ""
		for _, r := range throttlingRegions() {
			list += "<item><regionName>" + r + "</regionName></item>"
		}
		return ec2List(c, "regionInfo", list, "")
	case "DescribeVolumes":
		list, next := paged(c, volumes, volumesOnPage, `<item><volumeId>vol-%02d</volumeId><encrypted>true</encrypted></item>`)
		return ec2List(c, "volumeSet", list, next)
	case "DescribeSnapshots":
		list, next := paged(c, snapshots, snapshotsOnPage, `<item><snapshotId>snap-%02d</snapshotId><encrypted>true</encrypted></item>`)
		return ec2List(c, "snapshotSet", list, next)
	case "ListBuckets":
		list, next := paged(c, buckets, bucketsOnPage, `<Bucket><Name>bucket-`+c.account+`-%02d</Name><BucketRegion>eu-west-1</BucketRegion></Bucket>`)
		if next != "" {
			next = "<ContinuationToken>" + next + "</ContinuationToken>"
		}
		return http.StatusOK, "<ListAllMyBucketsResult><Buckets>" + list + "</Buckets>" + next + "</ListAllMyBucketsResult>"
	case "versioning":
		return http.StatusOK, "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
	case "acl":
		return http.StatusOK, "<AccessControlPolicy><Owner><ID>a1</ID></Owner></AccessControlPolicy>"
	case "logging":
		return http.StatusOK, "<BucketLoggingStatus></BucketLoggingStatus>"
	case "ListTables":
		list, next := paged(c, tables, tablesOnPage, `,"table-%02d"`)
		if next != "" {
			next = `,"LastEvaluatedTableName":"` + next + `"`
		}
		return http.StatusOK, `{"TableNames":[` + strings.TrimPrefix(list, ",") + `]` + next + `}`
	case "DescribeTable":
		return http.StatusOK, `{"Table":{"TableName":"` + c.about + `","TableStatus":"ACTIVE"}}`
	case "DescribeContinuousBackups":
		return http.StatusOK, `{"ContinuousBackupsDescription":{"ContinuousBackupsStatus":"ENABLED"}}`
	case "ListTagsOfResource":
		return http.StatusOK, `{"Tags":[]}`
	}
	absent := map[string]string{
		"encryption": "ServerSideEncryptionConfigurationNotFoundError", "publicAccessBlock": "NoSuchPublicAccessBlockConfiguration",
		"policyStatus": "NoSuchBucketPolicy", "policy": "NoSuchBucketPolicy", "object-lock": "ObjectLockConfigurationNotFoundError",
		"lifecycle": "NoSuchLifecycleConfiguration", "tagging": "NoSuchTagSet",
	}
	if code, ok := absent[c.operation]; ok && c.service == "s3" {
		return http.StatusNotFound, "<Error><Code>" + code + "</Code><Message>There is none.</Message></Error>"
	}
	return http.StatusTeapot, "<Error><Code>NotPlanned</Code><Message>" + c.service + " " + c.operation + "</Message></Error>"
}

func query(c call, result string) (int, string) {
	return http.StatusOK, fmt.Sprintf("<%[1]sResponse><%[1]sResult>%[2]s</%[1]sResult></%[1]sResponse>", c.operation, result)
}

func ec2List(c call, set, list, next string) (int, string) {
	if next != "" {
		next = "<nextToken>" + next + "</nextToken>"
	}
	return http.StatusOK, fmt.Sprintf("<%[1]sResponse><%[2]s>%[3]s</%[2]s>%[4]s</%[1]sResponse>", c.operation, set, list, next)
}

// paged gives the page of a list of n that a call asks for, and the token of
// the next, if there is one.
func paged(c call, n, size int, form string) (list, next string) {
	page, _ := strconv.Atoi(c.page) // what is no number has no page
	for i := (page - 1) * size; page > 0 && i < min(page*size, n); i++ {
		list += fmt.Sprintf(form, i)
	}
	if page*size < n {
		next = strconv.Itoa(page + 1)
	}
	return list, next
}

// credentialReport is a report of three rows, in the columns of the IAM user guide.
func credentialReport(account string) string {
	columns := "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,mfa_active," +
		"access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service," +
		"access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service," +
		"cert_1_active,cert_1_last_rotated,cert_2_active,cert_2_last_rotated\n"
	for _, user := range []string{"alice", "bob", "carol"} {
		columns += user + ",arn:aws:iam::" + account + ":user/" + user + strings.Repeat(",N/A", 20) + "\n"
	}
	return columns
}

// pipeListener hands over connections in memory.
type pipeListener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *pipeListener) dial(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }
