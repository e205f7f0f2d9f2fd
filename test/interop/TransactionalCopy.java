// Copies one topic into another, each batch of records in a transaction together with the offsets that it has consumed; some
// transactions are aborted on purpose. Whatever breaks it begins anew, until all is committed.
//
//   java -cp LIB TransactionalCopy.java BOOTSTRAP INPUT OUTPUT COUNT

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class TransactionalCopy {
  static String bootstrap;
  static int turns;

  static KafkaConsumer<String, String> consumer() {
    return new KafkaConsumer<>(
        Map.of(
            "bootstrap.servers", bootstrap,
            "group.id", "copy",
            "isolation.level", "read_committed",
            "enable.auto.commit", false,
            "auto.offset.reset", "earliest",
            "max.poll.records", 50,
            "session.timeout.ms", 6000,
            "default.api.timeout.ms", 15000),
        new StringDeserializer(),
        new StringDeserializer());
  }

  static KafkaProducer<String, String> producer() {
    return new KafkaProducer<>(
        Map.of(
            "bootstrap.servers", bootstrap,
            "transactional.id", "copy",
            "transaction.timeout.ms", 20000,
            "delivery.timeout.ms", 15000,
            "request.timeout.ms", 5000,
            "max.block.ms", 15000,
            "linger.ms", 0),
        new StringSerializer(),
        new StringSerializer());
  }

  public static void main(String[] args) throws Exception {
    bootstrap = args[0];
    while (true) {
      try {
        copy(args[1], args[2], Long.parseLong(args[3]));
        System.out.println("done after " + turns + " transactions");
        return;
      } catch (KafkaException error) {
        System.out.println("anew: " + error);
        Thread.sleep(200);
      }
    }
  }

  static void copy(String input, String output, long count) {
    try (var producer = producer();
        var consumer = consumer()) {
      producer.initTransactions();
      consumer.subscribe(List.of(input));
      while (committed(consumer, input) < count) {
        var records = consumer.poll(Duration.ofMillis(500));
        if (records.isEmpty()) continue;
        turns++;
        producer.beginTransaction();
        var offsets = new HashMap<TopicPartition, OffsetAndMetadata>();
        try {
          for (ConsumerRecord<String, String> record : records) {
            int partition = Integer.parseInt(record.value()) % 2;
            producer.send(new ProducerRecord<>(output, partition, record.key(), "copy of " + record.value()));
            var place = new TopicPartition(record.topic(), record.partition());
            offsets.put(place, new OffsetAndMetadata(record.offset() + 1));
          }
          producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
        } catch (KafkaException error) {
          producer.abortTransaction();
          throw error;
        }
        if (turns % 5 == 0) {
          producer.flush();
          producer.abortTransaction();
          for (var place : records.partitions()) {
            consumer.seek(place, records.records(place).get(0).offset());
          }
        } else {
          producer.commitTransaction();
        }
      }
    }
  }

  static long committed(KafkaConsumer<String, String> consumer, String input) {
    var place = new TopicPartition(input, 0);
    var found = consumer.committed(java.util.Set.of(place)).get(place);
    return found == null ? 0 : found.offset();
  }
}
