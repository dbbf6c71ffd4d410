package aws

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	smithy "github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"
)

// pager is a paginator of the SDK: O is the operation's output, F the options
// of its client.
type pager[O, F any] interface {
	HasMorePages() bool
	NextPage(ctx context.Context, options ...func(*F)) (*O, error)
}

// readPages hands over every page of a list. A last page that calls itself
// truncated, and does not say where to go on, is an answer that can not be
// understood: it must not pass for the end.
func readPages[O, F any](ctx context.Context, r *reader, pages pager[O, F], each func(*O, page) error) error {
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		list := r.page(out)
		if err := list.whole(pages.HasMorePages()); err != nil {
			return err
		}
		if err := each(out, list); err != nil {
			return err
		}
	}
	return nil
}

// whole is an error when a page says that there is more and there is no way to
// read it. Most services only give the token for the next page.
// Source: IAM API reference, IsTruncated; KMS API reference, Truncated.
func (p page) whole(more bool) error {
	truncated, _ := p.field("IsTruncated")
	if truncated != true {
		truncated, _ = p.field("Truncated")
	}
	if more || truncated != true {
		return nil
	}
	return &smithy.OperationError{ServiceID: p.service, OperationName: p.operation, Err: &smithy.DeserializationError{
		Err: errors.New("the answer is truncated and has no token for the next page"),
	}}
}

// readMembers reads a list whose members are whole resources, to its end: the
// body of each is a member of field as received. The kind is that of the
// operation. Ids gives the ids of a page's members in their order.
func readMembers[O, F any](ctx context.Context, r *reader, operation string, pages pager[O, F], field string, ids func(*O) []string) error {
	call, _ := r.spec.Call(operation)
	err := readPages(ctx, r, pages, func(out *O, p page) error {
		return r.members(ctx, operation, p, field, ids(out))
	})
	if err == nil {
		r.listed(call.Kind)
	}
	return err
}

// members emits the members of one page of the list that operation reads.
func (r *reader) members(ctx context.Context, operation string, p page, field string, ids []string) error {
	call, _ := r.spec.Call(operation)
	if call.Kind == "" {
		return errRunner{fmt.Errorf("collector %s reads the list of %s without declaring the call and its kind", r.spec.Name, operation)}
	}
	for i, id := range ids {
		if id == "" {
			return unidentified(operation, field, i)
		}
		if err := r.resource(call.Kind, id, p, p.item(field, i)).emit(ctx); err != nil {
			return err
		}
	}
	return nil
}

// readDetailed is readMembers for a list whose members need calls of their own:
// detail makes them for member i of the page and sets what they answer. It runs
// for many members at a time.
func readDetailed[O, F any](ctx context.Context, r *reader, operation string, pages pager[O, F], field string, ids func(*O) []string, detail func(ctx context.Context, out *O, i int, o *resource)) error {
	call, _ := r.spec.Call(operation)
	err := readPages(ctx, r, pages, func(out *O, p page) error {
		return r.detailed(ctx, operation, p, field, ids(out), func(ctx context.Context, i int, o *resource) { detail(ctx, out, i, o) })
	})
	if err == nil {
		r.listed(call.Kind)
	}
	return err
}

// detailed is members for those that need calls of their own.
func (r *reader) detailed(ctx context.Context, operation string, p page, field string, ids []string, detail func(ctx context.Context, i int, o *resource)) error {
	call, _ := r.spec.Call(operation)
	if call.Kind == "" {
		return errRunner{fmt.Errorf("collector %s reads the list of %s without declaring the call and its kind", r.spec.Name, operation)}
	}
	for i, id := range ids {
		if id == "" {
			return unidentified(operation, field, i)
		}
		o := r.resource(call.Kind, id, p, p.item(field, i))
		if err := r.each(ctx, func() error {
			detail(ctx, i, o)
			return o.emit(ctx)
		}); err != nil {
			return err
		}
	}
	return nil
}

// setPager puts a list that a paginator of the SDK reads into a field, as
// setPages does.
func setPager[O, F any](ctx context.Context, o *resource, operation, member string, pages pager[O, F]) {
	o.setPages(operation, member, func() (any, bool, error) {
		out, err := pages.NextPage(ctx)
		return out, pages.HasMorePages(), err
	})
}

// apart reads one list of several. When it fails, the gap is for that list
// alone, the result is false, and the others go on. An error ends the task.
func (r *reader) apart(ctx context.Context, read func(context.Context, *reader) error) (whole bool, err error) {
	if failed := read(ctx, r); failed != nil {
		return false, r.listFailed(ctx, r.region, r.spec.Name, failed)
	}
	return true, nil
}

// lists reads lists side by side, each apart from the others: those of which
// every resource of another list has one.
type lists struct {
	reader *reader
	group  errgroup.Group
	lost   atomic.Bool // some list was not read to its end
}

func (r *reader) lists() *lists {
	l := &lists{reader: r}
	l.group.SetLimit(max(1, r.in.InFlight))
	return l
}

// add has one more list read.
func (l *lists) add(ctx context.Context, read func(context.Context, *reader) error) {
	l.group.Go(func() error {
		return l.reader.safely(func() error {
			whole, err := l.reader.apart(ctx, read)
			if !whole {
				l.lost.Store(true)
			}
			return err
		})
	})
}

// wait says whether all lists were read to their ends. An error ends the task.
func (l *lists) wait() (whole bool, err error) {
	err = l.group.Wait()
	return !l.lost.Load(), err
}

// unidentified is the error for a member of a list that does not say which
// resource it is.
func unidentified(operation, field string, i int) error {
	service, name, _ := strings.Cut(operation, ":")
	return &smithy.OperationError{ServiceID: service, OperationName: name, Err: &smithy.DeserializationError{
		Err: fmt.Errorf("%s[%d] of the answer has no identifier", field, i),
	}}
}

// ec2ARN makes the ARN of a resource of EC2 in this region that belongs to
// owner: to this account when owner is nil. It is empty without a name.
func (r *reader) ec2ARN(sort string, name, owner *string) string {
	if aws.ToString(name) == "" {
		return ""
	}
	account := aws.ToString(owner)
	if account == "" {
		account = r.account
	}
	return fmt.Sprintf("arn:%s:ec2:%s:%s:%s/%s", r.partition, r.region, account, sort, aws.ToString(name))
}

// ec2PlainARN makes the ARN of a snapshot or an image, which names no account.
// It is empty without a name. Source: service authorization reference, Amazon EC2.
func (r *reader) ec2PlainARN(sort string, name *string) string {
	if aws.ToString(name) == "" {
		return ""
	}
	return fmt.Sprintf("arn:%s:ec2:%s::%s/%s", r.partition, r.region, sort, aws.ToString(name))
}
