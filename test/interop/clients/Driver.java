// Apache Kafka's Java client as a driver of the matrix (see client.ts): `java Driver.java CELL OPTIONS`.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.*;

public class Driver {
    static final ObjectMapper JSON = new ObjectMapper();
    static JsonNode options;
    static String topic, group, bootstrap;

    public static void main(String[] arguments) throws Exception {
        options = JSON.readTree(arguments[1]);
        bootstrap = options.get("bootstrap").asText();
        topic = options.path("topic").asText(null);
        group = options.path("group").asText(null);
        switch (arguments[0]) {
            case "produce" -> produce();
            case "transact" -> transact();
            case "consume" -> consume();
            case "member" -> member();
            case "resume" -> resume();
            case "seek" -> seek();
            case "admin" -> admin();
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }

    static synchronized void say(String name, Map<String, ?> fields) throws Exception {
        Map<String, Object> line = new LinkedHashMap<>(fields);
        line.put("name", name);
        System.out.println(JSON.writeValueAsString(line));
    }

    static ProducerRecord<byte[], byte[]> record(String topic, int index) {
        byte[] key = index % 10 == 9 ? null : bytes("key-" + index % 5);
        byte[] value = bytes("{\"sequence\":" + index + ",\"text\":\"" + "water level ".repeat(4) + "\"}");
        var record = new ProducerRecord<>(topic, index % 2, 1_700_000_000_000L + index, key, value);
        record.headers().add(new RecordHeader("number", bytes(Integer.toString(index))));
        record.headers().add(new RecordHeader("empty", new byte[0]));
        return record;
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(byte[] data) {
        return data == null ? null : new String(data, StandardCharsets.UTF_8);
    }

    static KafkaProducer<byte[], byte[]> openProducer(Map<String, ?> more) {
        Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "linger.ms", 50));
        config.putAll(more);
        return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    }

    static int send(KafkaProducer<byte[], byte[]> producer, String topic, int from, int to) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (int index = from; index < to; index++) sent.add(producer.send(record(topic, index)));
        producer.flush();
        for (Future<RecordMetadata> each : sent) each.get();
        return sent.size();
    }

    static void produce() throws Exception {
        Map<String, Integer> acked = new LinkedHashMap<>();
        boolean isIdempotent = options.get("idempotent").asBoolean();
        for (JsonNode each : options.get("compressions")) {
            String compression = each.asText();
            Map<String, Object> config = Map.of("compression.type", compression, "enable.idempotence", isIdempotent);
            try (var producer = openProducer(config)) {
                int chunk = options.get("chunk").asInt(), count = 0;
                for (int at = 0; at < options.get("count").asInt(); at += chunk)
                    count += send(producer, topic + "-" + compression, at, at + chunk);
                acked.put(compression, count);
            }
        }
        say("result", Map.of("acked", acked));
    }

    static void transact() throws Exception {
        Map<String, Object> config = Map.of("transactional.id", options.get("transactionalId").asText());
        try (var producer = openProducer(config); var consumer = openConsumer(Map.of())) {
            producer.initTransactions();
            producer.beginTransaction();
            send(producer, topic, 0, 50);
            producer.commitTransaction();
            producer.beginTransaction();
            send(producer, topic, 50, 100);
            producer.abortTransaction();
            producer.beginTransaction();
            send(producer, topic, 100, 150);
            var place = new TopicPartition(options.get("source").asText(), 0);
            var offset = new OffsetAndMetadata(options.get("sourceOffset").asLong());
            producer.sendOffsetsToTransaction(Map.of(place, offset), consumer.groupMetadata());
            producer.commitTransaction();
        }
        say("result", Map.of("acked", Map.of("none", 150)));
    }

    static KafkaConsumer<byte[], byte[]> openConsumer(Map<String, ?> more) {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", bootstrap);
        config.put("auto.offset.reset", "earliest");
        config.put("enable.auto.commit", false);
        if (group != null) config.put("group.id", group);
        config.putAll(more);
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static List<ConsumerRecord<byte[], byte[]>> read(KafkaConsumer<byte[], byte[]> consumer, int count) {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        while (records.size() < count) for (var each : consumer.poll(Duration.ofSeconds(1))) records.add(each);
        return records;
    }

    static List<String> valuesOf(List<ConsumerRecord<byte[], byte[]>> records) {
        return records.stream().map(each -> text(each.value())).toList();
    }

    static void consume() throws Exception {
        String isolation = options.get("committed").asBoolean() ? "read_committed" : "read_uncommitted";
        List<Object> records = new ArrayList<>();
        try (var consumer = openConsumer(Map.of("isolation.level", isolation))) {
            List<TopicPartition> places = new ArrayList<>();
            for (int at = 0; at < options.get("partitions").asInt(); at++) places.add(new TopicPartition(topic, at));
            consumer.assign(places);
            for (var each : read(consumer, options.get("count").asInt())) records.add(seen(each));
        }
        say("result", Map.of("records", records));
    }

    static Map<String, Object> seen(ConsumerRecord<byte[], byte[]> record) {
        Map<String, Object> seen = new LinkedHashMap<>();
        seen.put("partition", record.partition());
        seen.put("offset", record.offset());
        seen.put("timestampMs", record.timestamp());
        seen.put("key", text(record.key()));
        seen.put("value", text(record.value()));
        List<List<String>> headers = new ArrayList<>();
        record.headers().forEach(each -> headers.add(Arrays.asList(each.key(), text(each.value()))));
        seen.put("headers", headers);
        return seen;
    }

    static void sayPartitions(String name, Collection<TopicPartition> places) {
        try {
            say(name, Map.of("partitions", places.stream().map(each -> Map.of("partition", each.partition())).toList()));
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    static void member() throws Exception {
        String assignor = options.get("cooperative").asBoolean() ? "CooperativeStickyAssignor" : "RangeAssignor";
        Map<String, Object> config = new HashMap<>();
        config.put("session.timeout.ms", options.get("sessionMs").asInt());
        config.put("heartbeat.interval.ms", 500);
        config.put("partition.assignment.strategy", "org.apache.kafka.clients.consumer." + assignor);
        if (options.hasNonNull("instance")) config.put("group.instance.id", options.get("instance").asText());
        var consumer = openConsumer(config);
        var main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            consumer.wakeup();
            try {
                main.join();
            } catch (InterruptedException error) {
                Thread.currentThread().interrupt();
            }
        }));
        consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
            @Override
            public void onPartitionsRevoked(Collection<TopicPartition> places) {
                sayPartitions("partitions_revoked", places);
            }

            @Override
            public void onPartitionsAssigned(Collection<TopicPartition> places) {
                sayPartitions("partitions_assigned", places);
            }
        });
        try {
            while (true) {
                var records = consumer.poll(Duration.ofMillis(200));
                for (var each : records) say("record_data", Map.of("value", text(each.value())));
                if (!records.isEmpty()) commit(consumer);
            }
        } catch (WakeupException stopped) {
            consumer.close();
        }
    }

    static void commit(KafkaConsumer<byte[], byte[]> consumer) throws Exception {
        try {
            consumer.commitSync();
        } catch (CommitFailedException | org.apache.kafka.common.errors.RebalanceInProgressException error) {
            // It is no member any more: what was read comes again, to somebody.
            say("commit_failed", Map.of("error", error.toString()));
        }
    }

    static void resume() throws Exception {
        try (var consumer = openConsumer(Map.of("max.poll.records", 10))) {
            consumer.subscribe(List.of(topic));
            var records = read(consumer, options.get("count").asInt());
            Map<TopicPartition, OffsetAndMetadata> last = new HashMap<>();
            for (var each : records)
                last.put(new TopicPartition(topic, each.partition()),
                    new OffsetAndMetadata(each.offset() + 1, options.get("metadata").asText()));
            consumer.commitSync(last);
            say("result", Map.of("values", valuesOf(records)));
        }
    }

    static void seek() throws Exception {
        var place = new TopicPartition(topic, 0);
        try (var consumer = openConsumer(Map.of())) {
            consumer.assign(List.of(place));
            long offset = consumer.offsetsForTimes(Map.of(place, options.get("timeMs").asLong())).get(place).offset();
            consumer.seek(place, offset);
            var values = valuesOf(read(consumer, options.get("count").asInt()));
            say("result", Map.of("offset", offset, "values", values));
        }
    }

    static void admin() throws Exception {
        String made = options.get("made").asText();
        var place = new TopicPartition(topic, 0);
        Map<String, Object> seen = new LinkedHashMap<>();
        try (var client = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            var resource = new ConfigResource(ConfigResource.Type.TOPIC, made);
            var wanted = new NewTopic(made, 2, (short) 1).configs(Map.of("retention.ms", "600000"));
            client.createTopics(List.of(wanted)).all().get();
            seen.put("created", partitionsOf(client, made));
            client.createPartitions(Map.of(made, NewPartitions.increaseTo(3))).all().get();
            seen.put("grown", partitionsOf(client, made));
            var change = new AlterConfigOp(new ConfigEntry("retention.ms", "700000"), AlterConfigOp.OpType.SET);
            client.incrementalAlterConfigs(Map.of(resource, List.of(change))).all().get();
            var config = client.describeConfigs(List.of(resource)).all().get().get(resource);
            seen.put("config", config.get("retention.ms").value());
            seen.put("nodes", client.describeCluster().nodes().get().stream().map(node -> node.id()).toList());
            seen.put("end", offsetOf(client, place, OffsetSpec.latest()));
            client.deleteRecords(Map.of(place, RecordsToDelete.beforeOffset(5))).all().get();
            seen.put("start", offsetOf(client, place, OffsetSpec.earliest()));
            seen.put("listed", hasGroup(client));
            var state = client.describeConsumerGroups(List.of(group)).all().get().get(group).groupState();
            seen.put("state", state.toString());
            seen.put("committed", committed(client, place));
            client.alterConsumerGroupOffsets(group, Map.of(place, new OffsetAndMetadata(11))).all().get();
            seen.put("moved", committed(client, place));
            client.deleteConsumerGroups(List.of(group)).all().get();
            seen.put("gone", !hasGroup(client));
            client.deleteTopics(List.of(made)).all().get();
            seen.put("dropped", !client.listTopics().names().get().contains(made));
        }
        say("result", seen);
    }

    static int partitionsOf(Admin client, String name) throws Exception {
        return client.describeTopics(List.of(name)).allTopicNames().get().get(name).partitions().size();
    }

    static long offsetOf(Admin client, TopicPartition place, OffsetSpec spec) throws Exception {
        return client.listOffsets(Map.of(place, spec)).all().get().get(place).offset();
    }

    static boolean hasGroup(Admin client) throws Exception {
        return client.listGroups().all().get().stream().anyMatch(each -> each.groupId().equals(group));
    }

    static long committed(Admin client, TopicPartition place) throws Exception {
        return client.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(place).offset();
    }
}
