// Writes what no command-line producer can: chosen timestamps, null keys and header values, and transactions.
// Run by make-batches.ts as a single source file: java -cp LIB GoldenProducer.java BOOTSTRAP

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class GoldenProducer {
  static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  static KafkaProducer<byte[], byte[]> open(String bootstrap, Map<String, Object> more) {
    var config = new java.util.HashMap<String, Object>(more);
    config.put("bootstrap.servers", bootstrap);
    config.put("linger.ms", 2000);
    return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
  }

  static void sendTimes(KafkaProducer<byte[], byte[]> producer, String topic) {
    List<Header> headers = List.of(
        new RecordHeader("twice", utf8("1")),
        new RecordHeader("twice", (byte[]) null),
        new RecordHeader("größe", new byte[0]),
        new RecordHeader("", new byte[] {(byte) 0xff}));
    producer.send(new ProducerRecord<>(topic, 0, 1_700_000_000_000L, utf8("a"), utf8("first")));
    producer.send(new ProducerRecord<>(topic, 0, 0L, null, utf8("long before")));
    producer.send(new ProducerRecord<>(topic, 0, 4_000_000_000_000L, new byte[0], new byte[0]));
    producer.send(new ProducerRecord<>(topic, 0, 1_700_000_000_001L, new byte[] {0, (byte) 0xff}, null, headers));
    producer.flush();
  }

  public static void main(String[] args) {
    String bootstrap = args[0];
    try (var producer = open(bootstrap, Map.of("enable.idempotence", true))) {
      sendTimes(producer, "java-times");
      sendTimes(producer, "java-append-time");
    }
    try (var producer = open(bootstrap, Map.of("enable.idempotence", false))) {
      sendTimes(producer, "java-plain");
    }
    try (var producer = open(bootstrap, Map.of("transactional.id", "golden", "compression.type", "zstd"))) {
      producer.initTransactions();
      producer.beginTransaction();
      sendTimes(producer, "java-transactions");
      producer.commitTransaction();
      producer.beginTransaction();
      sendTimes(producer, "java-transactions");
      producer.abortTransaction();
    }
  }
}
