// franz-go as a driver of the matrix (see client.ts): `driver CELL OPTIONS`.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var options struct {
	Bootstrap, Topic, Group, Instance, TransactionalID, Source, Metadata, Made string

	Compressions                       []string
	Count, Chunk, Partitions           int
	SessionMs, TimeMs, SourceOffset    int64
	Idempotent, Committed, Cooperative bool
}

var ctx = context.Background()

func main() {
	must(json.Unmarshal([]byte(os.Args[2]), &options))
	cells := map[string]func(){"produce": produce, "transact": transact, "consume": consume, "member": member,
		"resume": resume, "seek": seek, "admin": admin}
	cells[os.Args[1]]()
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func value[T any](value T, err error) T {
	must(err)
	return value
}

func say(name string, fields map[string]any) {
	fields["name"] = name
	fmt.Println(string(value(json.Marshal(fields))))
}

func record(topic string, index int) *kgo.Record {
	var key []byte
	if index%10 != 9 {
		key = fmt.Appendf(nil, "key-%d", index%5)
	}
	return &kgo.Record{
		Topic:     topic,
		Partition: int32(index % 2),
		Timestamp: time.UnixMilli(1_700_000_000_000 + int64(index)),
		Key:       key,
		Value:     fmt.Appendf(nil, `{"sequence":%d,"text":"%s"}`, index, strings.Repeat("water level ", 4)),
		Headers:   []kgo.RecordHeader{{Key: "number", Value: fmt.Append(nil, index)}, {Key: "empty", Value: []byte{}}},
	}
}

func open(more ...kgo.Opt) *kgo.Client {
	all := append([]kgo.Opt{kgo.SeedBrokers(options.Bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(50 * time.Millisecond)}, more...)
	return value(kgo.NewClient(all...))
}

func send(client *kgo.Client, topic string, from, to int) int {
	var records []*kgo.Record
	for index := from; index < to; index++ {
		records = append(records, record(topic, index))
	}
	must(client.ProduceSync(ctx, records...).FirstErr())
	return len(records)
}

var codecs = map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}

func produce() {
	acked := map[string]int{}
	for _, compression := range options.Compressions {
		more := []kgo.Opt{kgo.ProducerBatchCompression(codecs[compression])}
		if !options.Idempotent {
			more = append(more, kgo.DisableIdempotentWrite())
		}
		client := open(more...)
		for at := 0; at < options.Count; at += options.Chunk {
			acked[compression] += send(client, options.Topic+"-"+compression, at, at+options.Chunk)
		}
		client.Close()
	}
	say("result", map[string]any{"acked": acked})
}

func transact() {
	client := open(kgo.TransactionalID(options.TransactionalID))
	defer client.Close()
	must(client.BeginTransaction())
	send(client, options.Topic, 0, 50)
	must(client.EndTransaction(ctx, kgo.TryCommit))
	must(client.BeginTransaction())
	send(client, options.Topic, 50, 100)
	must(client.EndTransaction(ctx, kgo.TryAbort))

	// Offsets join a transaction by way of a session, which consumes, too.
	session := value(kgo.NewGroupTransactSession(kgo.SeedBrokers(options.Bootstrap), kgo.ConsumerGroup(options.Group),
		kgo.ConsumeTopics(options.Source), kgo.TransactionalID(options.TransactionalID), kgo.RequireStableFetchOffsets(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())))
	defer session.Close()
	for read := int64(0); read < options.SourceOffset; {
		read += int64(session.PollRecords(ctx, int(options.SourceOffset-read)).NumRecords())
	}
	must(session.Begin())
	send(session.Client(), options.Topic, 100, 150)
	if !value(session.End(ctx, kgo.TryCommit)) {
		panic("the transaction was not committed")
	}
	say("result", map[string]any{"acked": map[string]int{"none": 150}})
}

func read(client *kgo.Client, count int) []*kgo.Record {
	var records []*kgo.Record
	for len(records) < count {
		fetches := client.PollRecords(ctx, count-len(records))
		must(fetches.Err())
		records = append(records, fetches.Records()...)
	}
	return records
}

func text(data []byte) *string {
	if data == nil {
		return nil
	}
	made := string(data)
	return &made
}

func consume() {
	isolation := kgo.ReadUncommitted()
	if options.Committed {
		isolation = kgo.ReadCommitted()
	}
	client := open(kgo.ConsumeTopics(options.Topic), kgo.FetchIsolationLevel(isolation),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	records := []map[string]any{}
	for _, each := range read(client, options.Count) {
		headers := [][]*string{}
		for _, header := range each.Headers {
			headers = append(headers, []*string{&header.Key, text(header.Value)})
		}
		records = append(records, map[string]any{"partition": each.Partition, "offset": each.Offset,
			"timestampMs": each.Timestamp.UnixMilli(), "key": text(each.Key), "value": text(each.Value), "headers": headers})
	}
	client.Close()
	say("result", map[string]any{"records": records})
}

func sayPartitions(name string) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, _ *kgo.Client, assigned map[string][]int32) {
		partitions := []map[string]any{}
		for _, partition := range assigned[options.Topic] {
			partitions = append(partitions, map[string]any{"partition": partition})
		}
		say(name, map[string]any{"partitions": partitions})
	}
}

func member() {
	stopped, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	var balancer kgo.GroupBalancer = kgo.RangeBalancer()
	if options.Cooperative {
		balancer = kgo.CooperativeStickyBalancer()
	}
	more := []kgo.Opt{kgo.ConsumeTopics(options.Topic), kgo.ConsumerGroup(options.Group), kgo.Balancers(balancer),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
		kgo.SessionTimeout(time.Duration(options.SessionMs) * time.Millisecond), kgo.HeartbeatInterval(500 * time.Millisecond),
		kgo.OnPartitionsAssigned(sayPartitions("partitions_assigned")), kgo.OnPartitionsRevoked(sayPartitions("partitions_revoked")),
		kgo.OnPartitionsLost(sayPartitions("partitions_revoked"))}
	if options.Instance != "" {
		more = append(more, kgo.InstanceID(options.Instance))
	}
	client := open(more...)
	for stopped.Err() == nil {
		fetches := client.PollFetches(stopped)
		fetches.EachRecord(func(each *kgo.Record) { say("record_data", map[string]any{"value": string(each.Value)}) })
		if fetches.NumRecords() > 0 {
			if err := client.CommitUncommittedOffsets(ctx); err != nil { // What was read comes again, to somebody.
				say("commit_failed", map[string]any{"error": err.Error()})
			}
		}
	}
	client.Close()
}

func valuesOf(records []*kgo.Record) []string {
	values := []string{}
	for _, each := range records {
		values = append(values, string(each.Value))
	}
	return values
}

func resume() {
	client := open(kgo.ConsumeTopics(options.Topic), kgo.ConsumerGroup(options.Group), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	records := read(client, options.Count)
	withMetadata := kgo.PreCommitFnContext(ctx, func(request *kmsg.OffsetCommitRequest) error {
		for _, topic := range request.Topics {
			for at := range topic.Partitions {
				topic.Partitions[at].Metadata = &options.Metadata
			}
		}
		return nil
	})
	must(client.CommitRecords(withMetadata, records...))
	client.Close()
	say("result", map[string]any{"values": valuesOf(records)})
}

func seek() {
	client := open(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		options.Topic: {0: kgo.NewOffset().AfterMilli(options.TimeMs)}}))
	records := read(client, options.Count)
	client.Close()
	say("result", map[string]any{"offset": records[0].Offset, "values": valuesOf(records)})
}

func admin() {
	client := open()
	defer client.Close()
	adm := kadm.NewClient(client)
	seen := map[string]any{}
	made, data := options.Made, options.Topic
	partitions := func() int { return len(value(adm.ListTopics(ctx, made))[made].Partitions) }
	committed := func() int64 { return value(adm.FetchOffsets(ctx, options.Group))[data][0].At }
	hasGroup := func() bool { _, has := value(adm.ListGroups(ctx))[options.Group]; return has }
	first := "600000"
	value(adm.CreateTopic(ctx, 2, 1, map[string]*string{"retention.ms": &first}, made))
	seen["created"] = partitions()
	must(value(adm.UpdatePartitions(ctx, 3, made)).Error())
	seen["grown"] = partitions()
	second := "700000"
	value(adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "retention.ms", Value: &second}}, made))
	for _, config := range value(value(adm.DescribeTopicConfigs(ctx, made)).On(made, nil)).Configs {
		if config.Key == "retention.ms" {
			seen["config"] = config.MaybeValue()
		}
	}
	seen["nodes"] = value(adm.ListBrokers(ctx)).NodeIDs()
	end, _ := value(adm.ListEndOffsets(ctx, data)).Lookup(data, 0)
	seen["end"] = end.Offset
	var before kadm.Offsets
	before.AddOffset(data, 0, 5, -1)
	must(value(adm.DeleteRecords(ctx, before)).Error())
	start, _ := value(adm.ListStartOffsets(ctx, data)).Lookup(data, 0)
	seen["start"] = start.Offset
	seen["listed"] = hasGroup()
	seen["state"] = value(adm.DescribeGroups(ctx, options.Group))[options.Group].State
	seen["committed"] = committed()
	var moved kadm.Offsets
	moved.AddOffset(data, 0, 11, -1)
	must(adm.CommitAllOffsets(ctx, options.Group, moved))
	seen["moved"] = committed()
	value(adm.DeleteGroup(ctx, options.Group))
	seen["gone"] = !hasGroup()
	value(adm.DeleteTopic(ctx, made))
	// What it knows of topics it keeps for a while.
	another := open()
	defer another.Close()
	seen["dropped"] = !value(kadm.NewClient(another).ListTopics(ctx)).Has(made)
	say("result", seen)
}
